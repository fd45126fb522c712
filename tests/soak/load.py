"""What a training job does all the time, for the soak: every call must succeed, every byte be right.

    load.py put PORT ACCOUNT PREFIX           fills both inputs of azsim
    load.py run STATE OUT PLAIN SMALL LARGE   the job, until SOAK_END (Unix seconds)
    load.py sum STATE                         what all its lives counted, as JSON

SMALL and LARGE are read-only mounts, OUT a writable one, PLAIN a directory that is uploaded at the end. The
job may be killed at any moment and started again: what it wrote stands in a journal in STATE, and each
life begins with looking whether all of it is there. At the end STATE/ours/{out,plain} is what the store has
to hold. Each failure is a line of STATE/failures. A file STATE/die ends the job by SIGKILL.
"""

import concurrent.futures
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from churn import MIB, Worker, Wrong, pattern  # noqa: E402

SMALL = {"part%d/n%03d" % (i % 8, i): 3000 + 397 * i % 60000 for i in range(240)}
LARGE = {"shard.%d" % i: 20 * MIB + 4321 * i for i in range(3)}
SHARDS = {name: pattern(name, size) for name, size in LARGE.items()} if sys.argv[1:2] == ["run"] else {}
AUDIENCES = ("https://storage.azure.com/", "https://vault.azure.net", "https://management.azure.com/")


def put(port, account, prefix):
    http_ = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for folder, files in (("small", SMALL), ("large", LARGE)):
        for name, size in files.items():
            http_.request("PUT", "/_azsim/blob/%s/data/%s/%s/%s" % (account, prefix, folder, name),
                          pattern(name, size))
            answer = http_.getresponse()
            answer.read()
            if answer.status >= 300:
                raise OSError("%s: %d" % (name, answer.status))


# ---- readers

def forget(fd):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(w, path, data, drop=True):
    fd = w.call(os.open, path, os.O_RDONLY)
    try:
        if drop:
            forget(fd)
        at = 0
        while part := w.call(os.read, fd, 1 << 18):
            w.must(part == data[at:at + len(part)], "%s differs at %d" % (path, at))
            at += len(part)
        w.must(at == len(data), "%s ends at %d, not %d" % (path, at, len(data)))
    finally:
        w.call(os.close, fd)


def epochs(w, step):
    names = list(SMALL)
    w.rnd.shuffle(names)
    for name in names:
        read_all(w, os.path.join(w.place, name), pattern(name, SMALL[name]))
        if w.is_over():
            return
        time.sleep(0.02)
    w.must(sorted(w.call(os.listdir, w.place)) == ["part%d" % i for i in range(8)], "the input's names")


FULL = 80       # more than a read-only mount answers at a time


def together(calls, threads=16):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(*call) for call in calls]:
            future.result()


def loaders(w, step):
    """Many at once, as a data loader has them. The pools of threads are full from the first time on: a
    peak that comes late would look like growth."""
    names = w.rnd.sample(list(SMALL), FULL)
    together(((read_all, w, os.path.join(w.place, name), pattern(name, SMALL[name])) for name in names), FULL)
    time.sleep(4)


def batches(w, step):
    together(((places, w, step, 0, 3) for _ in range(FULL)), FULL)
    time.sleep(4)


def sequential(w, step):
    name = list(LARGE)[step % len(LARGE)]
    read_all(w, os.path.join(w.place, name), SHARDS[name])
    time.sleep(1)


def places(w, step, pause=0.05, count=20):
    name = w.rnd.choice(list(LARGE))
    fd = w.call(os.open, os.path.join(w.place, name), os.O_RDONLY)
    try:
        forget(fd)
        for _ in range(count):
            at = w.rnd.randrange(LARGE[name])
            part = w.call(os.pread, fd, 8192, at)
            w.must(part == SHARDS[name][at:at + 8192], "%s differs at %d" % (name, at))
            time.sleep(pause)
    finally:
        w.call(os.close, fd)


# ---- writers: what they keep has names (units) and a value that says what is in it

def log_line(i):
    return b"step %08d loss 0.0\n" % i


class Unit:
    """How a kind of unit looks on disk: path below the writer's directory -> bytes."""

    @staticmethod
    def checkpoint(name, value):
        return {name: pattern(("checkpoint", value), 3 * MIB + 77)}

    @staticmethod
    def log(name, value):
        return {name: b"".join(map(log_line, range(value)))}

    @staticmethod
    def folder(name, value):
        return {"%s/f%02d" % (name, i): pattern((name, value, i), 500 + 811 * i) for i in range(20)}


class Writer(Worker):
    """A worker with a journal, so that the next life knows what has to be there."""

    def __init__(self, kind, unit, place, state, seed, is_over):
        super().__init__(kind, place, None, seed, is_over)
        self.name = "%s.%s" % (kind.__name__, os.path.basename(os.path.dirname(place)))
        self.unit, self.units, self.unsettled = unit, {}, set()
        self.journal = os.path.join(state, "journal." + self.name)

    def note(self, *words):
        with open(self.journal, "a") as f:
            f.write(json.dumps(words) + "\n")

    def touch(self, *names):
        for name in names:
            self.note("~", name)
            self.unsettled.add(name)

    def settle(self, name, value):
        self.note("=", name, value)
        self.unsettled.discard(name)
        if value is None:
            self.units.pop(name, None)
        else:
            self.units[name] = value

    def recall(self):
        if os.path.exists(self.journal):
            with open(self.journal) as f:
                lines = [json.loads(line) for line in f]
            for what, name, *value in lines:
                self.unsettled.add(name)
                if what == "=":
                    self.unsettled.discard(name)
                    self.units[name] = value[0]
        self.units = {k: v for k, v in self.units.items() if v is not None}

    def check_unit(self, name):
        for path, data in self.unit(name, self.units[name]).items():
            read_all(self, self.path(path), data)

    def resume(self):
        """All that was settled is there, nothing else is; what was under way is undone."""
        self.recall()
        self.call(os.makedirs, self.place, exist_ok=True)
        for name in sorted(self.unsettled):
            if self.unit is Unit.log and name in self.units:
                self.shorten(name)
                continue
            path = self.path(name)
            if os.path.isdir(path):
                self.call(shutil.rmtree, path)
            elif os.path.lexists(path):
                self.call(os.unlink, path)
            self.settle(name, None)
        for name in self.units:
            self.check_unit(name)
        self.expect_names(".", self.units)

    def shorten(self, name):
        want = self.unit(name, self.units[name])[name]
        got = self.read(name)
        self.must(got.startswith(want), "%s: what was appended before is gone" % name)
        self.call(os.truncate, self.path(name), len(want))
        self.settle(name, self.units[name])

    def run(self):
        """After a failure nothing is believed of what was under way, as after a death."""
        step, known = 0, False
        while not (known and self.is_over()) and len(self.failed) + len(self.wrong) < 3:
            try:
                if known:
                    self.kind(self, step)
                else:
                    self.resume()
                known = True
            except (Wrong, OSError) as e:
                (self.wrong if isinstance(e, Wrong) else self.failed).append(
                    "%s step %d: %s" % (self.name, step, traceback.format_exc()))
                known = False
            step += 1
            time.sleep(self.rnd.uniform(0.005, 0.05))

    def leave(self, ours):
        for name, value in self.units.items():
            for path, data in self.unit(name, value).items():
                at = os.path.join(ours, os.path.basename(self.place), path)
                os.makedirs(os.path.dirname(at), exist_ok=True)
                with open(at, "wb") as f:
                    f.write(data)


def checkpoints(w, step):
    n = max([value for value in w.units.values()], default=0) + 1
    name, oldest = "epoch%d" % n, sorted(w.units, key=lambda k: w.units[k])[:-2]
    w.touch("tmp", name, *oldest)
    w.write("tmp", w.unit(name, n)[name], piece=MIB // 2, sync=True)
    w.call(os.rename, w.path("tmp"), w.path(name))
    w.settle("tmp", None)
    w.settle(name, n)
    for old in oldest:
        w.call(os.unlink, w.path(old))
        w.settle(old, None)
    w.check_unit(name)
    w.expect_names(".", w.units)
    time.sleep(2)


def logs(w, step):
    n = w.units.get("log", 0)
    w.touch("log")
    w.write("log", log_line(n), flags=os.O_CREAT | os.O_APPEND, sync=step % 7 == 0)
    w.settle("log", n + 1)
    if step % 20 == 0:
        w.check_unit("log")
    time.sleep(0.3)


def folders(w, step):
    n = max([value for value in w.units.values()], default=0) + 1
    name, oldest = "d%d" % n, sorted(w.units, key=lambda k: w.units[k])[:-4]
    w.touch(name, *oldest)
    w.call(os.mkdir, w.path(name))
    together((w.write, path, data) for path, data in w.unit(name, n).items())
    w.expect_names(name, [os.path.basename(path) for path in w.unit(name, n)])
    w.settle(name, n)
    for old in oldest:
        w.call(shutil.rmtree, w.path(old))
        w.settle(old, None)
    w.check_unit(w.rnd.choice(list(w.units)))
    w.expect_names(".", w.units)
    time.sleep(1)


# ---- the broker, amlshim's own commands, orphans

class Client(Worker):
    """place is the number of a dialect; asks for a token at every step."""

    retries = 0

    def ask(self, where, query, headers):
        at = urllib.parse.urlsplit(where)
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=60)
        try:
            connection.request("GET", "%s?%s" % (at.path, query), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def question(self, number, audience):
        env, resource = os.environ, "resource=" + urllib.parse.quote(audience, safe="")
        return (
            (env["MSI_ENDPOINT"], resource + "&api-version=2017-09-01", {"secret": env["MSI_SECRET"]}),
            (env["IDENTITY_ENDPOINT"], resource + "&api-version=2019-08-01",
             {"X-IDENTITY-HEADER": env["IDENTITY_HEADER"]}),
            (env["AZURE_POD_IDENTITY_AUTHORITY_HOST"] + "/metadata/identity/oauth2/token",
             resource + "&api-version=2018-02-01", {"Metadata": "true"}),
        )[number % 3]


def tokens(w, step):
    where, query, headers = w.question(w.number, AUDIENCES[step % 3])
    for attempt in range(3):
        try:
            status, body = w.call(w.ask, where, query, headers)
            break
        except OSError:         # the agent that had accepted it was killed: SDKs ask again, too
            w.retries += 1
            if attempt == 2:
                raise
        except http.client.HTTPException:
            w.retries += 1
            if attempt == 2:
                raise Wrong("the broker hung up three times") from None
    w.must(status == 200, "the broker said %d: %s" % (status, body[:300]))
    token = json.loads(body)
    w.must(len(token["access_token"]) > 100, "no token in %s" % body[:100])
    w.must(int(token["expires_on"]) > time.time(), "a token that has expired")
    time.sleep(w.rnd.uniform(0.3, 0.9))


def command(w, words, want):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired as e:
        raise Wrong(str(e)) from None
    w.must(done.returncode == 0 and want in done.stdout,
           "%s: %d, %s%s" % (words, done.returncode, done.stdout, done.stderr))


def polls(w, step):
    w.call(command, w, [os.environ["AMLSHIM"], "healthcheck", "1"], "ready")
    w.call(command, w, [os.environ["AMLSHIM"], "status", "1"], "mount")
    time.sleep(1)


def orphans(w, step):
    w.call(command, w, [os.environ["TOOLS"] + "/orphans", "500"], "500\n")
    time.sleep(5)


# ---- a life

def make_workers(state, out, plain, small, large, is_over):
    writers = [Writer(kind, unit, os.path.join(top, kind.__name__), state, i, is_over) for i, (kind, unit, top)
               in enumerate(((checkpoints, Unit.checkpoint, out), (logs, Unit.log, out),
                             (folders, Unit.folder, out), (checkpoints, Unit.checkpoint, plain),
                             (folders, Unit.folder, plain)))]
    others = [Worker(kind, place, None, 100 + i, is_over) for i, (kind, place)
              in enumerate(((epochs, small), (epochs, small), (sequential, large), (places, large),
                            (loaders, small), (batches, large), (polls, None), (orphans, None)))]
    clients = [Client(tokens, None, None, 200 + i, is_over) for i in range(8)]
    for i, client in enumerate(clients):
        client.number, client.name = i, "tokens.%d" % i
    return writers, others + clients


def note_failure(state, line):
    with open(os.path.join(state, "failures"), "a") as f:
        f.write(line.replace("\n", " | ") + "\n")


def report(state, life, workers, told):
    for w in workers:
        for one in w.failed + w.wrong:
            if (w, one) not in told:
                told.add((w, one))
                note_failure(state, "%s %s" % ("wrong" if one in w.wrong else "failed", one))
    counts = {"longest_ms": {w.kind.__name__: int(1000 * w.longest) for w in sorted(
                  workers, key=lambda w: w.longest)},
              "retried_connections": sum(getattr(w, "retries", 0) for w in workers)}
    for w in workers:
        counts[w.kind.__name__] = counts.get(w.kind.__name__, 0) + w.calls
    with open(os.path.join(state, "new"), "w") as f:
        json.dump(counts, f)
    os.rename(os.path.join(state, "new"), os.path.join(state, "life.%d" % life))


def run(state, out, plain, small, large):
    end = float(os.environ["SOAK_END"])
    life = 1 + sum(name.startswith("life.") for name in os.listdir(state))
    writers, others = make_workers(state, out, plain, small, large, lambda: time.time() >= end)
    workers, told = writers + others, set()
    threading.excepthook = lambda e: note_failure(state, "failed %s: %r" % (e.thread.name, e.exc_value))
    for w in workers:
        w.start()
    while any(w.is_alive() for w in workers):
        if os.path.exists(os.path.join(state, "die")):
            os.unlink(os.path.join(state, "die"))
            os.kill(os.getpid(), signal.SIGKILL)
        report(state, life, workers, told)
        time.sleep(0.25)
    report(state, life, workers, told)
    for w in writers:
        top = os.path.basename(os.path.dirname(w.place))
        w.leave(os.path.join(state, "ours", "plain" if top == os.path.basename(plain) else "out"))
    return 0


def total(state):
    counts, longest = {"lives": 0, "failed": 0, "wrong": 0}, {}
    for name in os.listdir(state):
        if not name.startswith("life."):
            continue
        counts["lives"] += 1
        with open(os.path.join(state, name)) as f:
            life = json.load(f)
        for kind, n in life.pop("longest_ms").items():
            longest[kind] = max(longest.get(kind, 0), n)
        for key, n in life.items():
            counts[key] = counts.get(key, 0) + n
    if os.path.exists(os.path.join(state, "failures")):
        with open(os.path.join(state, "failures")) as f:
            for line in f:
                counts[line.split(" ", 1)[0]] += 1
    json.dump(dict(counts, longest_ms=longest), sys.stdout)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "put":
        sys.exit(put(int(sys.argv[2]), *sys.argv[3:]))
    sys.exit({"run": run, "sum": total}[sys.argv[1]](*sys.argv[2:]))
