#!/bin/bash
# What the compiler does not see of the house style: no line over 100 columns, no // comment, no
# blanks at the end of a line, a newline at the end of a file.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
while IFS= read -r -d '' file; do
	expand "$file" | awk -v file="$file" '
	function offends(why)
	{
		print file ":" NR ": " why
		bad = 1
	}
	length > 100 { offends("over 100 columns") }
	{
		code = $0
		gsub(/"([^"\\]|\\.)*"/, "", code)
	}
	code ~ /\/\// && code !~ /\/\*|^ *\*|:\/\// { offends("a // comment") }
	END { exit bad }' || status=1
	if grep -nHE '[[:blank:]]+$' "$file"; then
		echo "$file: blanks at the end of a line"
		status=1
	fi
	[ -z "$(tail -c 1 "$file")" ] || { echo "$file: no newline at the end"; status=1; }
done < <(find shim tests -name '*.[ch]' -print0 | sort -z)
exit $status
