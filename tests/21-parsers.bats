#!/usr/bin/env bats

# Each parser of foreign bytes has a fuzzer: tests/fuzz/PARSERS is the list, here it is compared.

load helpers

setup() {
	cd "$BATS_TEST_DIRNAME/.." || return
	table=tests/fuzz/PARSERS
}

# FILE FUNCTION of the table's rows, sorted.
listed() {
	awk '!/^#/ { print "shim/" $2, $3 }' "$table" | sort
}

# What the sources below $1 have and the table has not.
unlisted() {
	(cd "$1" && find shim -name '*.c' -print0 | xargs -0 awk -f "$OLDPWD/tests/fuzz/parsers.awk") |
		sort | comm -23 - <(listed)
}

@test "every function that reads foreign bytes is in the table" {
	diff <(unlisted .) /dev/null
}

@test "a new parser without a row is noticed" {
	mkdir -p "$BATS_TEST_TMPDIR/shim/base"
	printf 'static int\nnew_parse(const char *text)\n{\n\treturn (text[0]);\n}\n' \
		>"$BATS_TEST_TMPDIR/shim/base/new.c"
	printf 'int\ntake_it(struct x *x)\n{\n\treturn (json_parse(x->text, x->len) != NULL);\n}\n' \
		>>"$BATS_TEST_TMPDIR/shim/base/new.c"
	[ "$(unlisted "$BATS_TEST_TMPDIR")" = $'shim/base/new.c new_parse\nshim/base/new.c take_it' ]
}

@test "the table has no function twice, and none that is not in the sources" {
	diff <(listed | uniq -d) /dev/null
	listed | while read -r file function; do
		grep -q "^$function(" "$file" || { echo "$file has no $function"; exit 1; }
	done
}

@test "targets are the fuzzers, each with seeds; what has none says why" {
	diff <(awk '!/^#/ && $1 != "-" { print $1 }' "$table" | sort -u) \
		<(printf '%s\n' tests/fuzz/fuzz_*.c | sed 's/.*fuzz_//; s/\.c$//' | sort)
	awk '!/^#/ && $1 == "-" && NF < 4 { print; bad = 1 } END { exit bad }' "$table"
	awk '!/^#/ && $1 != "-" { print $1 }' "$table" | sort -u | while read -r target; do
		[ -n "$(ls "tests/fuzz/corpus/$target")" ] || { echo "$target has no seeds"; exit 1; }
	done
}
