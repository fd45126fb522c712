#!/usr/bin/env bats
# The words a person types.

load helpers

# The README's block of this name is what was printed last.
readme_shows() {
	sed -n "/^<!-- $1:/,/^<!-- end of $1 /p" "$BATS_TEST_DIRNAME/../README.md" | sed '1,2d;$d' | sed '$d' |
	    diff - "$BATS_TEST_TMPDIR/out"
}

@test "help fits one screen and is what the README shows" {
	amlshim 0 --help
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	readme_shows flags
	amlshim 0 help init
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	readme_shows init-flags
	amlshim 0 help mount
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	readme_shows mount-flags
	amlshim 2 help nonsense
	assert_in "$err" nonsense
}

@test "version is one line on stdout and has no side effect" {
	amlshim 0 --version
	[[ $out =~ ^amlshim\ version\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	silent
	amlshim 0 version
}

@test "the binary is static, position independent, hardened, without glibc" {
	file -b "$AMLSHIM" | grep -q 'static-pie linked'
	refute_in "$(readelf -lW "$AMLSHIM")" INTERP
	refute_in "$(readelf -dW "$AMLSHIM")" NEEDED
	readelf -lW "$AMLSHIM" | grep -q GNU_RELRO
	readelf -dW "$AMLSHIM" | grep -q 'BIND_NOW\|NOW'
	refute grep -qa GLIBC_2 "$AMLSHIM"
	ldd "$AMLSHIM" 2>&1 | grep -qE "statically linked|not a dynamic executable"
	[ "$(stat -c %s "$AMLSHIM")" -le $((1536 * 1024)) ]
}

@test "the README's tree of folders is the tree there is" {
	cd "$BATS_TEST_DIRNAME/.."
	diff <(grep -oE '^\| `shim/[a-z]+`' README.md | tr -d '|` ' | sort) <(find shim -mindepth 1 -maxdepth 1 -type d | sort)
}

@test "every decision and document that is linked is there" {
	cd "$BATS_TEST_DIRNAME/.."
	grep -ohE '\]\([A-Za-z0-9_./-]+' README.md docs/*.md | sed 's/](//' | while read -r target; do
		[ -e "$target" ] || [ -e "docs/$target" ] || { echo "missing: $target"; exit 1; }
	done
}
