#!/usr/bin/env bats
# The network half of docs/FAULTS.md: each row names a fault, each of its cells is a run of amlshim under that
# fault (tests/lib/network.py), and what is seen has to be what the cell says.  The runs of all rows begin
# side by side when the suite does; a test waits for its row.  ROWS="KEY..." runs only those.
# bats file_tags=root

load helpers

DOC=$BATS_TEST_DIRNAME/../docs/FAULTS.md
BOUND=${NETWORK_SECONDS:-400}	# until a row is there; all take about 90 s on an idle machine

setup_file() {
	[ "$(id -u)" = 0 ] || return 0
	"$BATS_TEST_DIRNAME/../scripts/test-certs.sh" "$BATS_FILE_TMPDIR/certs"
	mkdir "$BATS_FILE_TMPDIR/seen"
	# Its namespaces go with it, and with them all that it made.
	# shellcheck disable=SC2086 # words
	PROPAGATION=${PID1[-1]} timeout --foreground -k 5 "$BOUND" unshare --net --pid --fork --kill-child --mount --mount-proc \
	    --propagation "${PID1[-1]}" python3 "$BATS_TEST_DIRNAME/lib/network.py" "$AMLSHIM" \
	    "$BATS_TEST_DIRNAME/../build/azsim" "$TOOLS" "$BATS_FILE_TMPDIR/certs" "$BATS_FILE_TMPDIR/seen" "$DOC" \
	    ${ROWS-} >"$BATS_FILE_TMPDIR/log" 2>&1 3>&- </dev/null &
	echo $! >"$BATS_FILE_TMPDIR/pid"
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/pid")" 2>/dev/null || true
}

setup() {
	requires_fuse
}

row_is_there() {
	[ -e "$BATS_FILE_TMPDIR/seen/$1" ] || ! kill -0 "$(cat "$BATS_FILE_TMPDIR/pid")"
}

# row KEY: its cells, left to right.
row() {
	local key=$1 line want column seen i=1 cells
	line=$(grep -F "<!-- $key -->" "$DOC")
	assert_equal "$(wc -l <<<"$line")" 1
	IFS='|' read -ra cells <<<"$line"
	wait_for "$BOUND" row_is_there "$key"
	if [ ! -e "$BATS_FILE_TMPDIR/seen/$key" ]; then
		echo "there is no such row in the end:"
		tail -30 "$BATS_FILE_TMPDIR/log"
		return 1
	fi
	while IFS='|' read -r column seen; do
		i=$((i + 1))
		want=$(sed 's/^ *//; s/ *$//' <<<"${cells[i]}")
		[ "$want" != – ] || want=
		if [ "$seen" != "$want" ]; then
			echo "$key, $column: docs/FAULTS.md says \"$want\", seen is \"$seen\""
			cat "$BATS_FILE_TMPDIR/seen/$key.wrong"
			return 1
		fi
	done <"$BATS_FILE_TMPDIR/seen/$key"
	if [ -s "$BATS_FILE_TMPDIR/seen/$key.wrong" ]; then
		cat "$BATS_FILE_TMPDIR/seen/$key.wrong"
		return 1
	fi
}

@test "network: a row a test, a test a row" {
	assert_equal "$(sed -n 's/.*<!-- \([a-z0-9_]*\) -->.*/\1/p' "$DOC" | grep -xF "$(python3 - "$BATS_TEST_DIRNAME/lib" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[1])
		sys.dont_write_bytecode = True
		import network
		print("\n".join(network.ROWS))
	END
	)" | sort)" "$(sed -n 's/^	row \([a-z0-9_]*\)$/\1/p' "$BATS_TEST_FILENAME" | sort)"
}

@test "names: dns_nxdomain: the name does not exist (NXDOMAIN)" {
	row dns_nxdomain
}

@test "names: dns_servfail: the DNS server fails (SERVFAIL)" {
	row dns_servfail
}

@test "names: dns_refused: it refuses (REFUSED)" {
	row dns_refused
}

@test "names: dns_silent: it does not answer" {
	row dns_silent
}

@test "names: dns_wrong_id: it answers another question (a wrong id)" {
	row dns_wrong_id
}

@test "names: dns_garbage: it answers nonsense" {
	row dns_garbage
}

@test "names: dns_no_tcp: its answer is cut, and over TCP there is none" {
	row dns_no_tcp
}

# musl's resolver, not that of the sanitizers' libc
# bats test_tags=release
@test "names: dns_slow: it takes 1.5 s" {
	row dns_slow
}

# musl's resolver, not that of the sanitizers' libc
# bats test_tags=release
@test "names: dns_truncated: its answer is cut, over TCP it is whole" {
	row dns_truncated
}

@test "names: dns_huge: the answer has 200 addresses" {
	row dns_huge
}

@test "names: dns_later: the name is gone a minute later, and connections are reset" {
	row dns_later
}

@test "names: dns_moved: a minute later the name has another address, and nothing answers at the old one" {
	row dns_moved
}

@test "names: v6_only: the name has an IPv6 address only" {
	row v6_only
}

@test "names: v6_broken: it has both, and IPv6 leads nowhere" {
	row v6_broken
}

@test "names: one_address_dead: it has two addresses, at the first nothing answers" {
	row one_address_dead
}

@test "TLS: tls_expired: the certificate has expired" {
	row tls_expired
}

@test "TLS: tls_future: it is not valid yet" {
	row tls_future
}

@test "TLS: tls_other_name: it is for other names" {
	row tls_other_name
}

@test "TLS: tls_unknown_issuer: its issuer is not known" {
	row tls_unknown_issuer
}

@test "TLS: tls_self_signed: it has signed itself" {
	row tls_self_signed
}

@test "TLS: tls_old: the server has TLS 1.1 only" {
	row tls_old
}

@test "TLS: tls_after_hello: the connection ends after the ClientHello" {
	row tls_after_hello
}

@test "TLS: tls_mid_certificate: it is reset in the middle of the server's certificate" {
	row tls_mid_certificate
}

@test "TLS: tls_garbage: what answers does not speak TLS" {
	row tls_garbage
}

@test "TLS: tls_silent: it connects and says nothing" {
	row tls_silent
}

@test "TLS: reset_in_body: three answers are reset in the middle of their body" {
	row reset_in_body
}

@test "proxies: proxy_plain: a proxy in HTTPS_PROXY: all goes through it" {
	row proxy_plain
}

@test "proxies: proxy_lower: in https_proxy" {
	row proxy_lower
}

@test "proxies: proxy_all: in ALL_PROXY" {
	row proxy_all
}

@test "proxies: proxy_tls: a proxy that is spoken to over TLS (https://)" {
	row proxy_tls
}

@test "proxies: proxy_auth: it wants a user and a password, and http://USER:PASSWORD@HOST has them" {
	row proxy_auth
}

@test "proxies: proxy_407: the variable does not have them (407)" {
	row proxy_407
}

@test "proxies: proxy_wrong: they are wrong (407)" {
	row proxy_wrong
}

@test "proxies: proxy_403: it refuses the host (403)" {
	row proxy_403
}

@test "proxies: proxy_silent: it does not answer" {
	row proxy_silent
}

@test "proxies: proxy_gone: it is not there" {
	row proxy_gone
}

@test "proxies: proxy_no_name: its name does not resolve" {
	row proxy_no_name
}

@test "proxies: proxy_dies: three connections through it are reset in the middle of an answer" {
	row proxy_dies
}

@test "proxies: no_proxy_host: a proxy that refuses all, and NO_PROXY has the host" {
	row no_proxy_host
}

@test "proxies: no_proxy_suffix: NO_PROXY=.domain" {
	row no_proxy_suffix
}

@test "proxies: no_proxy_domain: NO_PROXY=other, domain" {
	row no_proxy_domain
}

@test "proxies: no_proxy_lower: no_proxy" {
	row no_proxy_lower
}

@test "proxies: no_proxy_all: NO_PROXY=*" {
	row no_proxy_all
}

@test "proxies: no_proxy_metadata: proxies that refuse all in ALL_PROXY and http_proxy: the metadata service (169.254.169.254) is asked without" {
	row no_proxy_metadata
}

@test "partitions: cut_stays: nothing gets through any more" {
	row cut_stays
}

@test "partitions: cut_heals: the same for 3 s" {
	row cut_heals
}

@test "partitions: cut_in_body: the same for 3 s, after the first MB" {
	row cut_in_body
}

@test "partitions: link_stays: the network interface goes down" {
	row link_stays
}

@test "partitions: link_heals: the same for 3 s" {
	row link_heals
}

@test "partitions: blackhole_stays: there is no route to the host any more" {
	row blackhole_stays
}

@test "partitions: blackhole_heals: the same for 3 s" {
	row blackhole_heals
}

@test "partitions: flows_forgotten: a load balancer or NAT has forgotten all connections, and says nothing" {
	row flows_forgotten
}

@test "partitions: mtu_hole: packets above 1,300 bytes vanish, and nobody is told" {
	row mtu_hole
}

@test "a bad line: wire_delay: 50 ms ± 30 ms each way, in any order" {
	row wire_delay
}

@test "a bad line: wire_loss: 3 % of packets are lost" {
	row wire_loss
}

@test "a bad line: wire_reorder: 25 % of packets overtake others" {
	row wire_reorder
}

@test "a bad line: wire_duplicate: 5 % of packets come twice" {
	row wire_duplicate
}

@test "a bad line: wire_corrupt: 0.5 % of packets have a wrong bit" {
	row wire_corrupt
}

@test "a bad line: wire_rate: 1 MB/s" {
	row wire_rate
}
