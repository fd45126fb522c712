# Prints "FILE FUNCTION" for each function of the sources that reads bytes of somebody else.
#
# Source files are in one style: NAME( of a definition stands at the beginning of a line, its type
# on the line before, its body between { and } at the beginnings of lines.  A function counts if
#
# - its name says so: parse, decode, unescape, unquote or split is a word of it; or it is not
#   static and read, load or restore is;
# - it calls what turns bytes into values: a parser of another one's format, a number out of
#   digits, a decoder;
# - it takes bytes in: from files, sockets, links, the environment, the memory of a process before.

BEGIN {
	calls = "(json_parse|xml_new|yaml_parse|strto[a-z]+|sscanf|str_to_i64|base64_decode|" \
	    "base64url_decode|uri_decode|uri_query_get|uri_parse|clock_parse_[a-z0-9]+|" \
	    "challenge_read|props_next|state_get|recv|recvmsg|recvfrom|wire_recv|wire_peek|" \
	    "wire_question|fd_read_file|fd_pread_full|pread|read|readlink|readlinkat|fgets|" \
	    "fgetc|fread|getline|getenv)"
	calls = "(^|[^a-z_0-9>.])" calls "\\("
}

FNR == 1 {
	name = ""
	inside = 0
}

!inside && /^[a-z_][a-z_0-9]*\(/ {
	name = $0
	sub(/\(.*/, "", name)
	counts = name ~ /(^|_)(parse|decode|unescape|unquote|split)(_|$)/ ||
	    (before !~ /static/ && name ~ /_(read|load|restore)(_|$)/)
}

/^\{/ && name != "" {
	inside = 1
}

inside && $0 ~ calls {
	counts = 1
}

/^\}/ && inside {
	if (counts)
		print FILENAME, name
	inside = 0
	name = ""
}

{
	before = $0
}
