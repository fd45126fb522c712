"""network.py AMLSHIM AZSIM TOOLS CERTS OUT TABLE [ROW...]: the network half of docs/FAULTS.md, looked at.

Runs as root in network, mount and PID namespaces of its own (tests/96-network.bats makes them): what it makes
there is gone with it.  This namespace is the world; each of SLOTS network namespaces has a job, on the other
side of a "wire" (tests/bin/wire.c), with names, storage, an Entra ID, a proxy and a metadata service of
its own here, all in this one process in front of one azsim.

Each cell of the table is one run of amlshim; the fault comes before it (columns "token", "start", "doctor")
or in its middle (columns "read", "write"), where connections that are open are also reset, so that what a fault
does to new ones is seen.  A cell that names a bound (`--io-timeout`) is run with bounds of seconds and has
to take one, an other with the defaults, which are minutes, and has to be quick.  What was seen goes, in the
words of the table, to OUT/ROW: a line a cell, "COLUMN|WORDS"; what else is wrong, to OUT/ROW.wrong.
"""

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
import warnings

COLUMNS = ("token", "start", "read", "write", "doctor")
JOBS = COLUMNS[:4]	# for what passes: the doctor looks once
SLOTS = 32
# The bounds that a cell may name, in seconds; a run takes at least PART of its own, and at most SLACK more. (A pause
# before a try is drawn by lot; one that would end behind the bound is not waited for.)
BOUNDS = {"--start-timeout": 6, "--io-timeout": 4, "--flush-timeout": 4}
PART, SLACK = 0.1, 20
AT_ONCE = 20		# where the bounds are minutes
PAUSE = 3		# a fault that passes
TRIES = 3		# of a job that did not get as far as the fault: the bounds are short, the machine is busy
STALL = 15		# at least, of a request without an answer: it is sent again after 20
FDS, THREADS = 8, 3	# more than before the fault: connections and a name being looked up
STORE, LOGIN = "acct.blob.test.local", "login.test.local"
TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
APP, APP_OID = "bbbbbbbb-0000-4000-8000-00000000000b", "bbbbbbbb-1111-4000-8000-00000000000b"
VM, VM_OID = "55555555-0000-4000-8000-000000000005", "55555555-1111-4000-8000-000000000005"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SECRET = "open~sesame+/1"
PROXY_USER = "user:p%40ss"
IMDS = "169.254.169.254"


def pattern(size):
    """Known bytes, without a period that a chunk could have."""
    return b"".join(struct.pack(">Q", i * 0x9E3779B97F4A7C15 & (1 << 64) - 1) for i in range(size // 8))


FIRST, SECOND = pattern(64 << 10), pattern(3 << 20)


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


warnings.simplefilter("ignore", DeprecationWarning)	# of TLS 1.1


# ---- names ------------------------------------------------------------------

class Names(asyncio.DatagramProtocol):
    """A DNS server for one world: over UDP, and over TCP what was truncated."""

    def __init__(self, world):
        self.world = world
        self.mode, self.name = "ok", None	# of this name; others are answered
        self.asked = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, peer):
        asyncio.ensure_future(self.answer_udp(query, peer))

    async def answer_udp(self, query, peer):
        answer = await self.answer(query, True)
        if answer:
            self.transport.sendto(answer, peer)

    async def serve_tcp(self, reader, writer):
        try:
            size = struct.unpack(">H", await reader.readexactly(2))[0]
            answer = await self.answer(await reader.readexactly(size), False)
            if answer:
                writer.write(struct.pack(">H", len(answer)) + answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    @staticmethod
    def question(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0], query[12:at + 5]

    async def answer(self, query, udp):
        name, kind, asked = self.question(query)
        mode = self.mode if self.name in (None, name) else "ok"
        ident, flags, rcode = query[:2], 0x8180, 0
        rows = self.world.addresses(name, kind, mode)
        if mode in ("nxdomain", "servfail", "refused"):
            rcode, rows = {"nxdomain": 3, "servfail": 2, "refused": 5}[mode], []
        elif mode == "silent":
            return None
        elif mode == "slow":
            await asyncio.sleep(1.5)
        elif mode == "wrong_id":
            ident = bytes((ident[0] ^ 0xFF, ident[1]))
        elif mode == "garbage":
            return ident + b"\xff" * 60
        elif mode in ("truncated", "deaf_tcp") and udp:
            flags, rows = flags | 0x200, []
        elif mode == "deaf_tcp":
            return None
        elif mode == "huge" and kind == 1:
            rows = rows * 200	# 3 KB: more than fits into a resolver's buffer of old
        elif rows is None:
            rcode, rows = 3, []
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(a)) + a for a in rows)
        return ident + struct.pack(">HHHHH", flags | rcode, 1, len(rows), 0, 0) + asked + body


# ---- connections ---------------------------------------------------------------

def reset(writer):
    """RST in place of FIN."""
    try:
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()


class Front:
    """Where a service of azsim's is reached by one world: mode says what becomes of connections."""

    def __init__(self, lab, port):
        self.lab, self.port = lab, port		# azsim's
        self.mode, self.left = ["pass"], -1
        self.live, self.served, self.listeners = set(), 0, []

    async def listen(self, *addresses, port=443, **how):
        for address in addresses:
            self.listeners.append(await asyncio.start_server(self.serve, address, port, **how))

    def set(self, *mode, times=-1):
        self.mode, self.left = list(mode), times

    def cut(self):
        for writer in list(self.live):
            reset(writer)

    async def serve(self, reader, writer):
        self.served += 1
        mode = self.mode
        if mode[0] != "pass" and self.left == 0:
            mode = ["pass"]
        elif mode[0] != "pass" and self.left > 0:
            self.left -= 1
        self.live.add(writer)
        try:
            await getattr(self, "do_" + mode[0])(reader, writer, *mode[1:])
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.live.discard(writer)
            writer.close()

    async def do_pass(self, reader, writer, back=None):
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.live.add(back_writer)
        try:
            ways = [asyncio.ensure_future(pump(reader, back_writer)),
                asyncio.ensure_future(pump(back_reader, writer, back))]
            await asyncio.wait(ways, return_when=asyncio.ALL_COMPLETED if back is None else
                asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self.live.discard(back_writer)
            back_writer.close()
        if back is not None:
            reset(writer)

    async def do_reset(self, reader, writer, size):
        """So many bytes from the service, then RST."""
        await self.do_pass(reader, writer, size)

    async def do_tls(self, reader, writer, name, old=False):
        """Another certificate, or version, than azsim's.  What is asked is not answered."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{self.lab.certs}/{name}.pem", f"{self.lab.certs}/{name}.key")
        if old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(writer.transport, writer.transport.get_protocol(), context,
                server_side=True)
            transport.close()
        except (OSError, ssl.SSLError):
            pass		# as it should be

    async def do_after_hello(self, reader, writer):
        await reader.read(65536)

    async def do_mid_certificate(self, reader, writer):
        await self.do_pass(reader, writer, 120)	# of a server's first flight

    async def do_garbage(self, reader, writer):
        await reader.read(65536)
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 40)
        await writer.drain()

    async def do_silent(self, reader, writer):
        while await reader.read(65536):
            pass


async def pump(reader, writer, limit=None):
    """limit: of bytes, after which it is over."""
    try:
        while limit is None or limit > 0:
            data = await reader.read(65536 if limit is None else min(65536, limit))
            if not data:
                break
            limit = None if limit is None else limit - len(data)
            writer.write(data)
            await writer.drain()
        if limit is None:
            writer.write_eof()
    except OSError:
        pass


class Proxy(Front):
    """HTTP CONNECT and no more; hosts it connects to are those of its world."""

    def __init__(self, lab, world):
        super().__init__(lab, None)
        self.world, self.log = world, []

    async def do_pass(self, reader, writer, limit=None, auth=False):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target = head.split(" ")[:2]
        self.log.append((method, target))
        wanted = base64.b64encode(PROXY_USER.replace("%40", "@").encode()).decode()
        if method != "CONNECT":
            return await self.refuse(writer, "405 CONNECT only")
        if auth and f"\r\nproxy-authorization: basic {wanted}\r\n".lower() not in head.lower():
            return await self.refuse(writer, "407 Proxy Authentication Required",
                'Proxy-Authenticate: Basic realm="proxy"\r\n')
        front = self.world.front_of(target.rpartition(":")[0])
        if front is None:
            return await self.refuse(writer, "502 Bad Gateway")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        self.port = front.port
        await super().do_pass(reader, writer, limit)

    async def refuse(self, writer, status, more=""):
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    async def do_forbid(self, reader, writer):
        self.log.append(("CONNECT", (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()))
        await self.refuse(writer, "403 Forbidden")

    async def do_auth(self, reader, writer):
        await self.do_pass(reader, writer, auth=True)


# ---- a slot: a job's namespace and the world as it sees it ----------------------

class World:
    def __init__(self, lab, k):
        self.lab, self.k, self.netns = lab, k, f"/run/netns/j{k}"
        self.dir = f"{lab.work}/slot{k}"
        at = f"10.77.{k}."
        self.here, self.job = at + "1", at + "100"
        self.store_ip, self.moved_ip, self.login_ip, self.proxy_ip, self.dns_ip, self.hole_ip = (
            at + n for n in ("10", "11", "20", "30", "53", "66"))
        self.six = f"fd77:{k + 1:x}::"

    async def begin(self):
        lab, k = self.lab, self.k
        os.makedirs(self.dir)
        run("ip", "netns", "add", f"j{k}")
        run("ip", "tuntap", "add", f"w{k}", "mode", "tun")
        run("ip", "-n", f"j{k}", "tuntap", "add", "w", "mode", "tun")
        mine = [f"{ip}/32" for ip in (self.store_ip, self.moved_ip, self.login_ip, self.proxy_ip, self.dns_ip)]
        run("ip", "-batch", "-", input="".join(
            [f"link set w{k} up\naddr add {self.here}/24 dev w{k}\naddr add {self.six}1/64 dev w{k} nodad\n",
            f"addr add {self.six}10/128 dev w{k} nodad\n"] + [f"addr add {ip} dev w{k}\n" for ip in mine]))
        self.link_up(first=True)
        self.wire = await asyncio.create_subprocess_exec(f"{lab.tools}/wire", self.netns, f"w{k}", "w",
            str(k + 1), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert await self.wire.stdout.readline() == b"ok\n", "the wire did not start"
        self.store, self.login = Front(lab, lab.https), Front(lab, lab.https)
        self.proxy, self.tls_proxy = Proxy(lab, self), Proxy(lab, self)
        await self.store.listen(self.store_ip, self.moved_ip, f"{self.six}10")
        await self.login.listen(self.login_ip)
        await self.proxy.listen(self.proxy_ip, port=3128)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{lab.certs}/server.pem", f"{lab.certs}/server.key")
        await self.tls_proxy.listen(self.proxy_ip, port=3129, ssl=context)
        loop = asyncio.get_running_loop()
        _, self.names = await loop.create_datagram_endpoint(lambda: Names(self), (self.dns_ip, 53))
        await asyncio.start_server(self.names.serve_tcp, self.dns_ip, 53)
        with open(f"{self.dir}/resolv.conf", "w") as f:
            f.write(f"nameserver {self.dns_ip}\n")
        with open(f"{self.dir}/hosts", "w") as f:
            f.write("127.0.0.1 localhost\n")
        await self.reset()

    def link_up(self, first=False):
        run("ip", "-n", f"j{self.k}", "-batch", "-", input=(
            f"link set lo up\naddr add {self.job}/24 dev w\naddr add {self.six}2/64 dev w nodad\n" if first else "") +
            f"link set w up\nroute replace default via {self.here}\n" +
            (f"addr replace {self.six}2/64 dev w nodad\n") + f"route replace default via {self.six}1\n")

    def ip(self, *words):
        run("ip", "-n", f"j{self.k}", *words)

    async def reset(self):
        """All is well."""
        await self.ask_wire("heal")
        self.ip("route", "flush", "type", "blackhole")
        self.link_up()
        self.names.mode, self.names.name = "ok", None
        for front in (self.store, self.login, self.proxy, self.tls_proxy):
            front.set("pass")
            front.cut()
            front.served = 0
        for proxy in (self.proxy, self.tls_proxy):
            proxy.log = []

    async def ask_wire(self, line):
        self.wire.stdin.write(line.encode() + b"\n")
        assert await self.wire.stdout.readline() == b"ok\n", line

    def front_of(self, host):
        return {STORE: self.store, self.store_ip: self.store, LOGIN: self.login}.get(host)

    def addresses(self, name, kind, mode):
        """Of a name: a list of packed addresses; None: it is not known."""
        if name == "proxy.test.local":
            return [socket.inet_aton(self.proxy_ip)] if kind == 1 else []
        if name == LOGIN:
            return [socket.inet_aton(self.login_ip)] if kind == 1 else []
        if name != STORE:
            return None
        six = socket.inet_pton(socket.AF_INET6, f"{self.six}10")
        hole = socket.inet_pton(socket.AF_INET6, "fd66::10")
        if mode == "v6_only" and kind in (1, 28):
            return [six] if kind == 28 else []
        if mode == "v6_broken":
            return [hole] if kind == 28 else [socket.inet_aton(self.store_ip)]
        if mode == "some_dead":
            return [socket.inet_aton(self.hole_ip), socket.inet_aton(self.store_ip)] if kind == 1 else []
        if mode == "moved":
            return [socket.inet_aton(self.moved_ip)] if kind == 1 else []
        return [socket.inet_aton(self.store_ip)] if kind == 1 else []


# ---- what is wrong ----------------------------------------------------------------

class Row:
    """apply(world, login): the fault; login: towards Entra ID rather than storage.  end(world): it passes,
    PAUSE seconds later.  env(world): variables of the job.  cut: open connections are reset, too.  hold: so
    many seconds pass before it, in the middle of the job.  check(cell, world): what else has to hold.  pause: a
    wait of STALL seconds is to be expected.  metadata: the token comes from the VM's metadata service."""

    def __init__(self, apply, end=None, env=None, cut=True, hold=0, check=None, pause=False, metadata=False,
            columns=COLUMNS):
        self.apply, self.end, self.env, self.cut = apply, end, env or (lambda world: {}), cut
        self.hold, self.check, self.pause, self.metadata, self.columns = hold, check, pause, metadata, columns


def names(mode, dead_ip=False, **more):
    async def apply(world, login):
        world.names.name, world.names.mode = LOGIN if login else STORE, mode
        if dead_ip:
            world.ip("route", "add", "blackhole", world.store_ip)
    return Row(apply, **more)


def front(*mode, times=-1, login_mode=None, **more):
    async def apply(world, login):
        (world.login if login else world.store).set(*(login_mode if login and login_mode else mode), times=times)
    return Row(apply, **more)


def wire(*lines, **more):
    async def apply(world, login):
        for line in lines:
            await world.ask_wire(line)
    return Row(apply, **more)


async def heal_wire(world):
    await world.ask_wire("heal")


def through_proxy(*mode, times=-1, user="", name="HTTPS_PROXY", port=3128, scheme="http", host=None, more=None,
        login_mode=None, **row):
    async def apply(world, login):
        for proxy in (world.proxy, world.tls_proxy):
            proxy.set(*(login_mode if login and login_mode else mode), times=times)

    def env(world):
        return {name: f"{scheme}://{user}{host or world.proxy_ip}:{port}", **(more(world) if more else {})}
    return Row(apply, env=env, **row)


def link(down, up=None, **more):
    """Words of ip for the job's namespace; up: they pass."""
    async def apply(world, login):
        world.ip(*down.split())
    return Row(apply, end=up, cut=False, **more)


async def link_up(world):
    world.link_up()


def blackhole(**more):
    async def apply(world, login):
        world.ip("route", "add", "blackhole", world.login_ip if login else world.store_ip)
    return Row(apply, **more)


async def unroute(world):
    world.ip("route", "flush", "type", "blackhole")


def seen_by_proxy(*hosts):
    def check(cell, world):
        got = {target for _, target in world.proxy.log}
        if cell.column == "start" and got != set(hosts):
            cell.wrong.append(f"the proxy was asked for {got}, not {set(hosts)}")
    return check


def not_by_proxy(cell, world):
    """Neither the metadata service nor the job's own endpoint, nor what NO_PROXY names."""
    if world.proxy.log:
        cell.wrong.append(f"the proxy was asked for {world.proxy.log}")


def no_proxy(value, name="NO_PROXY"):
    """What is named there does not go through a proxy that would refuse it."""
    return through_proxy("forbid", more=lambda world: {name: value.format(store=world.store_ip)},
        check=not_by_proxy, columns=("start",))


ROWS = {
    # names
    "dns_nxdomain": names("nxdomain"),
    "dns_servfail": names("servfail"),
    "dns_refused": names("refused"),
    "dns_silent": names("silent"),
    "dns_wrong_id": names("wrong_id"),
    "dns_garbage": names("garbage"),
    "dns_no_tcp": names("deaf_tcp"),
    "dns_slow": names("slow"),
    "dns_truncated": names("truncated"),
    "dns_huge": names("huge"),
    "dns_later": names("nxdomain", hold=63, columns=("read", "write")),
    "dns_moved": names("moved", hold=63, columns=("read", "write"), dead_ip=True),
    "v6_only": names("v6_only"),
    "v6_broken": names("v6_broken"),
    "one_address_dead": names("some_dead"),
    # TLS
    "tls_expired": front("tls", "expired"),
    "tls_future": front("tls", "future"),
    "tls_other_name": front("tls", "elsewhere"),
    "tls_unknown_issuer": front("tls", "stranger"),
    "tls_self_signed": front("tls", "self"),
    "tls_old": front("tls", "server", True),
    "tls_after_hello": front("after_hello"),
    "tls_mid_certificate": front("mid_certificate"),
    "tls_garbage": front("garbage"),
    "tls_silent": front("silent"),
    "reset_in_body": front("reset", 700_000, login_mode=("reset", 1400), times=3),
    # proxies
    "proxy_plain": through_proxy("pass", check=seen_by_proxy(f"{STORE}:443")),
    "proxy_auth": through_proxy("auth", user=PROXY_USER + "@"),
    "proxy_lower": through_proxy("pass", name="https_proxy", check=seen_by_proxy(f"{STORE}:443"),
        columns=("start",)),
    "proxy_all": through_proxy("pass", name="ALL_PROXY", check=seen_by_proxy(f"{STORE}:443"), columns=("start",)),
    "proxy_tls": through_proxy("pass", scheme="https", port=3129, host="proxy.test.local"),
    "proxy_407": through_proxy("auth"),
    "proxy_wrong": through_proxy("auth", user="user:wrong@"),
    "proxy_403": through_proxy("forbid"),
    "proxy_silent": through_proxy("silent"),
    "proxy_gone": through_proxy("pass", port=1, columns=("token", "start", "doctor")),
    "proxy_no_name": through_proxy("pass", host="proxy.invalid", columns=("token", "start", "doctor")),
    "proxy_dies": through_proxy("reset", 700_000, times=3, login_mode=("reset", 1400)),
    "no_proxy_host": no_proxy(STORE),
    "no_proxy_suffix": no_proxy(".test.local"),
    "no_proxy_domain": no_proxy("other.invalid, test.local"),
    "no_proxy_lower": no_proxy(STORE, name="no_proxy"),
    "no_proxy_all": no_proxy("*"),
    "no_proxy_metadata": through_proxy("forbid", name="ALL_PROXY", more=lambda world: {"NO_PROXY": STORE,
        "http_proxy": f"http://{world.proxy_ip}:3128"}, check=not_by_proxy, metadata=True, columns=("token",)),
    # partitions
    "cut_stays": wire("cut", cut=False),
    "cut_heals": wire("cut", cut=False, end=heal_wire, columns=JOBS),
    "cut_in_body": wire("rate 2000", "after 1000000", cut=False, end=heal_wire, columns=("start", "read", "write")),
    "link_stays": link("link set w down"),
    "link_heals": link("link set w down", link_up, columns=JOBS),
    "blackhole_stays": blackhole(),
    "blackhole_heals": blackhole(end=unroute, columns=JOBS),
    "flows_forgotten": wire("forget", cut=False, pause=True),
    "mtu_hole": wire("mtu 1300", cut=False),
    # a bad line
    "wire_delay": wire("delay 50 30", cut=False),
    "wire_loss": wire("loss 300", "delay 5 0", cut=False),
    "wire_reorder": wire("delay 10 0", "reorder 2500", cut=False),
    "wire_duplicate": wire("duplicate 500", cut=False),
    "wire_corrupt": wire("corrupt 50", cut=False),
    "wire_rate": wire("rate 1000", cut=False),
}


# ---- a run, and what is seen of it ---------------------------------------------------

WRAPPER = """
for f in resolv.conf hosts; do
	[ -e /etc/$f ] || : >/etc/$f
	mount --bind "$0/$f" /etc/$f || exit 99
done
"$@"
status=$?
for pid in $(cd /proc && echo [0-9]*); do
	[ "$pid" = $$ ] || ! [ -d /proc/$pid ] || grep -q '^State:.Z' /proc/$pid/status ||
	    echo "left running: $(tr '\\0' ' ' </proc/$pid/cmdline)" >>"$0/left"
done
grep " $0/" /proc/self/mountinfo | grep -v /etc/ >>"$0/left"
exit $status
"""


class Lab:
    def __init__(self, amlshim, azsim, tools, certs, out, table):
        self.amlshim, self.azsim, self.tools, self.certs, self.out = amlshim, azsim, tools, certs, out
        self.work, self.table = out + "/work", table
        self.propagation = os.environ.get("PROPAGATION", "private")
        self.free = asyncio.Queue()

    async def begin(self):
        os.makedirs(self.work, exist_ok=True)
        os.makedirs("/dev/net", exist_ok=True)
        if not os.path.exists("/dev/net/tun"):
            run("mknod", "/dev/net/tun", "c", "10", "200")
        run("mount", "-t", "tmpfs", "none", "/run")
        run("ip", "link", "set", "lo", "up")
        run("ip", "addr", "add", IMDS + "/32", "dev", "lo")
        ports = f"{self.work}/ports"
        self.sim = subprocess.Popen([self.azsim, "--host", "127.0.0.1", "--http", "0", "--https", "0",
            "--cert", f"{self.certs}/server.pem", "--key", f"{self.certs}/server.key", "--port-file", ports,
            "--log", f"{self.work}/requests", "--max-life", "900", "--tenant", TENANT,
            "--account", "name=acct,key=" + KEY, "--container", "acct/data",
            "--account", "name=hnsacct,hns=1,key=" + KEY, "--container", "hnsacct/data",
            "--identity", f"kind=system,client_id={VM},oid={VM_OID}", "--role", f"oid={VM_OID},role=contributor",
            "--app", f"client_id={APP},oid={APP_OID},secret={SECRET}",
            "--role", f"oid={APP_OID},role=contributor"], stdout=open(f"{self.work}/azsim.out", "w"),
            stderr=subprocess.STDOUT)
        until = time.monotonic() + 30
        while not os.path.exists(ports) or not open(ports).read():
            assert time.monotonic() < until and self.sim.poll() is None, "azsim did not start"
            await asyncio.sleep(0.02)
        words = dict(word.split("=") for word in open(ports).read().split())
        self.http, self.https = int(words["http"]), int(words["https"])
        for name, data in (("first", FIRST), ("second", SECOND)):
            with open(f"{self.work}/{name}", "wb") as f:
                f.write(data)
            self.ctl("PUT", f"/_azsim/blob/acct/data/in/{name}", f"{self.work}/{name}")
        imds = Front(self, self.http)
        await imds.listen(IMDS, port=80)
        for k in range(SLOTS):
            world = World(self, k)
            await world.begin()
            self.free.put_nowait(world)

    def ctl(self, *words):
        return run(self.azsim, "ctl", str(self.http), *words)


def datastore(column):
    credentials = f'{{account_key: "{KEY}"}}'
    if column == "metadata":
        credentials = "{}"
    if column == "token":
        credentials = (f"{{tenant_id: {TENANT}, client_id: {APP}, client_secret: '{SECRET}', "
            f"authority_url: 'https://{LOGIN}'}}")
    return (f"name: store\ntype: azure_blob\naccount_name: acct\ncontainer_name: data\nendpoint: test.local\n"
        f"credentials: {credentials}\n")


class Cell:
    """One run of amlshim in a world."""

    def __init__(self, lab, key, column, words, remedy):
        self.lab, self.key, self.row, self.column, self.words = lab, key, ROWS[key], column, words
        self.remedy, self.wrong = remedy, []
        self.short = [b for b in BOUNDS if b in words] if words is not None else list(BOUNDS)

    def files(self, world):
        self.dir = f"{world.dir}/{self.key}.{self.column}"
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir + "/cache")
        self.wrong = []
        steps, work, here = self.lab.tools + "/steps", self.lab.work, self.dir
        place = "azureml://datastores/store/paths/"
        given, got = "inputs", f"data: {{type: uri_folder, path: {place}in/, mode: ro_mount}}"
        if self.column == "write":
            given, got = "outputs", f"data: {{type: uri_folder, path: {place}{self.key}/, mode: rw_mount}}"
            command = (f"copy {work}/first ${{{{outputs.data}}}}/first wait {here}/step "
                f"copy {work}/second ${{{{outputs.data}}}}/second")
        elif self.column == "read":
            command = (f"copy ${{{{inputs.data}}}}/first {here}/first fds amlshim:mount wait {here}/step "
                f"copy ${{{{inputs.data}}}}/second {here}/second fds amlshim:mount")
        else:
            command = f"copy ${{{{inputs.data}}}}/first {here}/first copy ${{{{inputs.data}}}}/second {here}/second"
        with open(here + "/job.yml", "w") as f:
            f.write(f"command: {steps} {command}\n{given}:\n  {got}\n")
        with open(here + "/store.yml", "w") as f:
            f.write(datastore("metadata" if self.row.metadata else self.column))

    def argv(self, world):
        env = {"PATH": os.environ["PATH"], "HOME": self.dir, "LANG": "C.UTF-8",
            "SSL_CERT_FILE": self.lab.certs + "/ca.pem", **self.row.env(world)}
        if self.row.metadata:
            env["AMLSHIM_COMPUTE"] = "system_assigned"
        flags = [word for b in self.short for word in (b, f"{BOUNDS[b]}s")]
        return ["env", "-i", *(f"{k}={v}" for k, v in env.items()), "nsenter", "--net=" + world.netns,
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation",
            self.lab.propagation, "sh", "-c", WRAPPER, world.dir, self.lab.amlshim,
            *(["doctor"] if self.column == "doctor" else []), "--job", self.dir + "/job.yml", "--datastore",
            self.dir + "/store.yml", "--root", self.dir + "/mnt", "--cache-dir", self.dir + "/cache", *flags]

    async def fault(self, world):
        await self.row.apply(world, self.column == "token")
        if self.row.cut:
            for one in (world.store, world.login, world.proxy, world.tls_proxy):
                one.cut()
        if self.row.end:
            async def later():
                await asyncio.sleep(PAUSE)
                await self.row.end(world)
            self.later = asyncio.ensure_future(later())

    async def run(self, world):
        await world.reset()
        self.later, self.reached = None, True
        open(f"{world.dir}/left", "w").close()
        self.files(world)
        in_middle = self.column in ("read", "write")
        if not in_middle:
            await self.fault(world)
        began = time.monotonic()
        limit = AT_ONCE + SLACK if not self.short else sum(BOUNDS[b] for b in self.short) + 2 * SLACK
        with open(self.dir + "/out", "w") as out, open(self.dir + "/err", "w") as err:
            job = await asyncio.create_subprocess_exec(*self.argv(world), stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, start_new_session=True)
        try:
            if in_middle:
                self.reached = await self.until_ready(job)
                await asyncio.sleep(self.row.hold if self.reached else 0)
                await self.fault(world)
                began = time.monotonic()
                open(self.dir + "/step.go", "w").close()
            self.status = await asyncio.wait_for(job.wait(), limit)
        except asyncio.TimeoutError:
            self.status = "hangs"
            os.killpg(job.pid, signal.SIGKILL)
            await job.wait()
        self.took = time.monotonic() - began
        if self.later:
            await self.later
        self.out, self.err = open(self.dir + "/out").read(), open(self.dir + "/err").read()
        self.look(world)
        self.seen = self.see()

    async def until_ready(self, job):
        until = time.monotonic() + 60
        while not os.path.exists(self.dir + "/step.ready") and job.returncode is None and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return os.path.exists(self.dir + "/step.ready")

    def look(self, world):
        """What has to hold whatever the fault."""
        if os.path.exists(f"{world.dir}/left") and open(f"{world.dir}/left").read():
            self.wrong.append(open(f"{world.dir}/left").read())
        for secret in (KEY, SECRET, "p@ss", "p%40ss", "eyJ"):
            if secret in self.out + self.err:
                self.wrong.append(f"shows the secret {secret[:4]}...")
        for name, data in (("first", FIRST), ("second", SECOND)):
            path = f"{self.dir}/{name}"
            if f"copy {path}: ok" in self.out and open(path, "rb").read() != data:
                self.wrong.append(f"wrong bytes in {name}")
        if self.column == "write" and self.status == 0:
            for name, data in (("first", FIRST), ("second", SECOND)):
                if f"/{name}: ok" not in self.out and f"/{name}: close" not in self.out:
                    continue
                got = subprocess.run([self.lab.azsim, "ctl", str(self.lab.http), "GET",
                    f"/_azsim/blob/acct/data/{self.key}/{name}"], capture_output=True).stdout
                if got != data:
                    self.wrong.append(f"wrong bytes in the output {name}")
        if self.status == 123 and "second" not in self.err:
            self.wrong.append("the file that was not uploaded is not named")
        counts = [(int(f), int(t)) for f, t in re.findall(r"^fds (\d+) threads (\d+)$", self.out, re.M)]
        if self.column == "read" and len(counts) == 2 and (counts[1][0] > counts[0][0] + FDS or
                counts[1][1] > counts[0][1] + THREADS):
            self.wrong.append(f"the mount had {counts[0]} descriptors and threads, and has {counts[1]}")
        if self.status != 0 and self.remedy and not any(text in self.out + self.err for text in self.remedy):
            self.wrong.append(f"nothing says {self.remedy}")
        if self.row.check:
            self.row.check(self, world)

    def when(self, took, *bounds):
        """At once, or in the bound of these that the cell names."""
        for bound in bounds:
            if bound in self.short:
                if PART * BOUNDS[bound] <= took <= BOUNDS[bound] + SLACK:
                    return f"in `{bound}`"
                if took < PART * BOUNDS[bound]:
                    return "at once"
        return "at once" if took < AT_ONCE and not self.short else f"after {took:.1f} s"

    def fine(self, took):
        least = PAUSE * 0.9 if self.row.end else STALL if self.row.pause else None
        return "a pause" if least and took >= least else "nothing is noticed"

    def see(self):
        if self.status == "hangs":
            return "hangs"
        if self.column == "doctor":
            failed = sorted(set(re.findall(r"^FAIL  (\S+)", self.out, re.M)))
            return f"`{self.status}`, " + ", ".join(f"`{f}`" for f in failed) if failed else "all ok" if \
                self.status == 0 else f"`{self.status}`"
        steps = re.findall(r"^copy \S*/(first|second): (.*) (\d+) ms$", self.out, re.M)
        if self.column in ("token", "start"):
            if self.status == 0:
                return self.fine(self.took) if [s[1] for s in steps] == ["ok", "ok"] else f"`0`, {steps}"
            return f"`{self.status}`, {self.when(self.took, '--start-timeout', '--io-timeout')}"
        if len(steps) != 2 or steps[0][1] != "ok":
            return f"`{self.status}`, {steps}"
        result, took = steps[1][1], int(steps[1][2]) / 1000
        # Which of the two it is depends on who looks at the clock first: the request or its reader.
        name = result.split()[-1].replace("ETIMEDOUT", "EIO")
        if self.words and f"`{name}`" in self.words:
            name = self.words.split(", ")[0].strip("`")	# "A` or `B"
        parts = [] if result == "ok" else [f"`{name}`, {self.when(took, '--io-timeout')}"]
        if self.status != 0:
            parts.append(f"`{self.status}`, {self.when(self.took - took, '--flush-timeout')}")
        return "; ".join(parts) if parts else self.fine(took)


def read_table(path):
    """{key: {column: words}} and {key: texts of which a failure has one}."""
    cells, remedies = {}, {}
    for line in open(path):
        key = re.search(r"<!-- ([a-z0-9_]+) -->", line)
        if key and key[1] in ROWS:	# the other half of the page is another suite's
            fields = [field.strip() for field in line.split("|")[2:]]
            cells[key[1]] = dict(zip(COLUMNS, fields))
            remedies[key[1]] = re.findall('"([^"]*)"', fields[len(COLUMNS)])
    return cells, remedies


async def main():
    lab = Lab(*(os.path.abspath(a) for a in sys.argv[1:7]))
    wanted = sys.argv[7:] or list(ROWS)
    cells, remedies = read_table(lab.table)
    await lab.begin()
    began = time.monotonic()

    async def one(cell):
        world = await lab.free.get()
        try:
            for _ in range(TRIES):
                await cell.run(world)
                if cell.reached:
                    break
        except Exception as e:
            cell.seen = f"{type(e).__name__}: {e}"
            cell.wrong.append(cell.seen)
        finally:
            lab.free.put_nowait(world)
        return cell

    async def whole(key):
        done = await asyncio.gather(*(one(Cell(lab, key, c, cells.get(key, {}).get(c), remedies.get(key)))
            for c in ROWS[key].columns))
        with open(f"{lab.out}/{key}.new", "w") as f:
            for c in COLUMNS:
                f.write(c + "|" + "".join(cell.seen for cell in done if cell.column == c) + "\n")
        with open(f"{lab.out}/{key}.wrong", "w") as f:
            for cell in done:
                if cell.wrong or cell.seen != cell.words:
                    f.write(f"{cell.column}, {getattr(cell, 'took', 0):.1f} s: {' '.join(cell.wrong)}\n")
                    f.write("".join(f"    {line}\n" for line in
                        (getattr(cell, "out", "") + getattr(cell, "err", "")).splitlines()))
        os.rename(f"{lab.out}/{key}.new", f"{lab.out}/{key}")
        for cell in done:
            print(key, cell.column, "|", cell.seen, "|", f"{getattr(cell, 'took', 0):.1f}", " ".join(cell.wrong),
                flush=True)

    # Those that wait a minute begin first.
    await asyncio.gather(*(whole(key) for key in sorted(wanted, key=lambda key: -ROWS[key].hold)))
    print(f"{time.monotonic() - began:.1f} s", resource_line())
    lab.sim.kill()


def resource_line():
    t = os.times()
    return f"own {t.user + t.system:.1f} s, children {t.children_user + t.children_system:.1f} s"


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)		# connections of jobs that were killed are no news
