#!/bin/bash
# The layer rule: a file of shim/ includes headers of its own folder or of an earlier one. And
# one owner for each third-party header. Prints what offends.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck disable=SC2016 # the $0 is awk's
find shim -mindepth 2 -name '*.[ch]' -print0 | sort -z | xargs -0r awk '
BEGIN {
	n = split("base spec plan azure identity mount init cli", names)
	for (i = 1; i <= n; i++)
		layer[names[i]] = i
	owner["yaml.h"] = "shim/spec/yaml.c"
	owner["cJSON.h"] = "shim/base/json.c"
	owner["curl.h"] = "shim/azure/http_curl.c"
	owner["expat.h"] = "shim/base/xml.c"
}

function offends(why)
{
	print FILENAME ":" FNR ": " why
	bad = 1
}

FNR == 1 {
	split(FILENAME, part, "/")
	here = part[2]
	if (!(here in layer))
		offends("folder " here " is in no layer")
}

# "layer/name.h", or "name.h" of the own folder
match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]*"/) {
	split($0, quoted, "\"")
	if (split(quoted[2], path, "/") == 1)
		next
	if (!(path[1] in layer))
		offends("\"" quoted[2] "\" is in no layer")
	else if (layer[path[1]] > layer[here])
		offends(here " may not include " quoted[2] ", a later layer")
}

/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
	header = $0
	gsub(/^[^<"]*[<"]|[>"].*$/, "", header)
	base = header
	sub(/.*\//, "", base)
	if (base in owner && header !~ /^(spec|base)\// && FILENAME != owner[base] &&
	    !(base == "yaml.h" && $0 ~ /"/))
		offends(header " belongs to " owner[base] " alone")
	if (header ~ /^(fuse3\/)?(fuse|cuse)[a-z_]*\.h$/ && here != "mount")
		offends(header " belongs to shim/mount/ alone")
}

END { exit bad }
'
