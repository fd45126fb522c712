#!/usr/bin/env bats
# The words a person types.

load helpers

# The block of docs/FLAGS.md of this name is what was printed last.
flags_page_shows() {
	sed -n "/^<!-- $1:/,/^<!-- end of $1 /p" "$BATS_TEST_DIRNAME/../docs/FLAGS.md" | sed '1,2d;$d' | sed '$d' |
	    diff - "$BATS_TEST_TMPDIR/out"
}

@test "help fits one screen and is what docs/FLAGS.md shows" {
	amlshim 0 --help
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	flags_page_shows flags
	amlshim 0 help init
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	flags_page_shows init-flags
	amlshim 0 help mount
	[ "$(wc -l <"$BATS_TEST_TMPDIR/out")" -le 48 ]
	flags_page_shows mount-flags
	amlshim 0 help commands
	flags_page_shows command-flags
	amlshim 2 help nonsense
	assert_in "$err" nonsense
}

# Of all screens of help, one a line: each flag, with its hyphens.
all_flags() {
	local topic
	for topic in '' commands init mount; do
		"$AMLSHIM" help $topic
	done | grep -oE '^  .{4}--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u
}

# Each subcommand that the usage names.
all_commands() {
	"$AMLSHIM" help | sed -nE 's/^       amlshim ([a-z-]+).*/\1/p'
}

@test "the man page has each command and flag with its variable, and groff has nothing to say" {
	amlshim 0 help man
	page=${out//\\-/-}
	[ "$(all_flags | wc -l)" -ge 50 ]
	for flag in $(all_flags); do
		variable=$(grep -E -A2 -- "^\.B (-., )?$flag([ [].*)?$" <<<"$page" | sed -n 's/^Variable: \(.*\)\.$/\1/p')
		[[ $variable =~ ^AMLSHIM_[A-Z_]+$ ]] || { echo "no variable of $flag"; return 1; }
	done
	for command in $(all_commands); do
		assert_in "$page" "\fB$command\fR"
	done
	groff -ww -z -man -Tutf8 "$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/groff" >&2
	assert_equal "$(cat "$BATS_TEST_TMPDIR/groff")" ""
	groff -man -Tutf8 -P-cbou "$BATS_TEST_TMPDIR/out" >"$BATS_TEST_TMPDIR/page"
	assert_in "$(cat "$BATS_TEST_TMPDIR/page")" "--hold-on-failure[=TIME]"
}

# bash_offers WORDS...: what bash would complete the last one to.
bash_offers() {
	bash --norc -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(complete -p amlshim | sed "s/.*-F \([^ ]*\).*/\1/") &&
	    printf "%s\n" "${COMPREPLY[@]}"' bash "$BATS_TEST_TMPDIR/completion" "$@"
}

@test "bash completes flags, what they choose from, and subcommands; nothing of the command's own words" {
	"$AMLSHIM" help completion-bash >"$BATS_TEST_TMPDIR/completion"
	assert_equal "$(bash_offers amlshim -- | grep -vx -- --help | sort)" "$(all_flags)"
	assert_equal "$(bash_offers amlshim plan --exp | sort)" $'--explain\n--export-token'
	assert_equal "$(bash_offers amlshim --fuse '')" $'require\ncopy'
	assert_equal "$(bash_offers amlshim --log-format = j)" json
	assert_equal "$(bash_offers amlshim --job --st)" ""	# a file's name
	assert_equal "$(bash_offers amlshim -- cat --)" ""
	for command in $(all_commands); do
		assert_in "$(bash_offers amlshim "$command")" "$command"
	done
}

@test "zsh completes flags, what they choose from, and subcommands" {
	"$AMLSHIM" help completion-zsh >"$BATS_TEST_TMPDIR/_amlshim"
	PATH=$(dirname "$AMLSHIM"):$PATH
	tab() { python3 "$BATS_TEST_DIRNAME/lib/press_tab.py" "$BATS_TEST_TMPDIR" "$1"; }
	shown=$(tab 'amlshim --')
	for flag in $(all_flags); do
		assert_in "$shown" "$flag "
	done
	assert_in "$(tab 'amlshim --log-f')" "line<amlshim --log-format=>"
	assert_in "$(tab 'amlshim --log-format=j')" "line<amlshim --log-format=json"
	assert_in "$(tab 'amlshim --explain docker-c')" "line<amlshim --explain docker-credential"
	shown=$(tab 'amlshim --fuse=')
	assert_in "$shown" require
	assert_in "$shown" copy
}

@test "make man completions and make install: what they write is what the program prints" {
	cd "$BATS_TEST_DIRNAME/.."
	make -s man completions
	"$AMLSHIM" help man | cmp - build/amlshim.1
	"$AMLSHIM" help completion-bash | cmp - build/completion-bash
	"$AMLSHIM" help completion-zsh | cmp - build/completion-zsh
}

@test "version is one line on stdout and has no side effect" {
	amlshim 0 --version
	[[ $out =~ ^amlshim\ version\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	silent
	amlshim 0 version
}

# bats test_tags=release
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
