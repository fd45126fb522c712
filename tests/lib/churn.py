"""A mixed load for a job whose mounts are killed: every system call must succeed, every byte be right.

    churn.py OUT SECONDS COPY [INPUT]

SECONDS may be the path of a file: the load lasts until it is there.
OUT is a writable mount (any directory will do), INPUT a read-only one that `churn.py --input DIR`
filled.  Each worker has a directory of its own in OUT and knows what has to be in it.  At the end OUT
stands as COPY does, a local directory, and one line tells the counts:
    calls=N longest_ms=N failed=N wrong=N
Exit status 1 if a call failed or a byte was wrong.
"""

import hashlib
import mmap
import os
import random
import shutil
import sys
import threading
import time
import traceback

MIB = 1 << 20
INPUTS = {"small.%d" % i: 20_000 + 777 * i for i in range(40)} | {"big": 24 * MIB + 12345}


def pattern(seed, size):
    """Bytes that are cheap to make and nowhere the same."""
    block = hashlib.sha256(str(seed).encode()).digest() * 128
    return b"".join(i.to_bytes(8, "big") + block[8:] for i in range(size // len(block) + 1))[:size]


class Wrong(Exception):
    pass


class Worker(threading.Thread):
    def __init__(self, kind, place, inputs, seed, is_over):
        super().__init__(name=kind.__name__, daemon=True)
        self.kind, self.place, self.inputs, self.is_over = kind, place, inputs, is_over
        self.rnd = random.Random(seed)
        self.model = {}         # path below place -> bytes; None: a directory
        self.calls, self.longest = 0, 0.0
        self.failed, self.wrong = [], []

    def call(self, function, *args, **kw):
        """One system call, or a few of them: counted and timed."""
        begin = time.monotonic()
        try:
            return function(*args, **kw)
        finally:
            self.calls += 1
            self.longest = max(self.longest, time.monotonic() - begin)

    def must(self, condition, what):
        if not condition:
            raise Wrong(what)

    def path(self, name):
        return os.path.join(self.place, name)

    def run(self):
        if self.place:
            self.call(os.makedirs, self.place, exist_ok=True)
        step = 0
        while not self.is_over() and len(self.failed) + len(self.wrong) < 3:
            try:
                self.kind(self, step)
            except Wrong as e:
                self.wrong.append("%s step %d: %s" % (self.name, step, e))
            except OSError:
                self.failed.append("%s step %d: %s" % (self.name, step, traceback.format_exc()))
            step += 1
            time.sleep(self.rnd.uniform(0.005, 0.05))

    # ---- pieces of work

    def write(self, name, data, flags=os.O_CREAT | os.O_TRUNC, piece=65536, sync=False):
        fd = self.call(os.open, self.path(name), os.O_WRONLY | flags, 0o644)
        for at in range(0, len(data), piece):
            n = self.call(os.write, fd, data[at:at + piece])
            self.must(n == len(data[at:at + piece]), "short write to " + name)
        if sync:
            self.call(os.fsync, fd)
        self.call(os.close, fd)

    def read(self, name, size=None):
        with self.call(open, self.path(name), "rb", buffering=0) as f:
            parts = []
            while part := self.call(f.read, 256 * 1024):
                parts.append(part)
        return b"".join(parts)

    def expect(self, name, data):
        got = self.read(name)
        self.must(len(got) == len(data), "%s has %d bytes, not %d" % (name, len(got), len(data)))
        self.must(got == data, "%s differs" % name)

    def expect_names(self, directory, names):
        got = sorted(self.call(os.listdir, self.path(directory)))
        self.must(got == sorted(names), "%s holds %s, not %s" % (directory, got[:9], sorted(names)[:9]))


# ---- kinds of work; each is called again and again

def reads(w, step):
    name = w.rnd.choice(list(INPUTS))
    size = INPUTS[name]
    data = pattern(name, size)
    path = os.path.join(w.inputs, name)
    way = step % 3
    fd = w.call(os.open, path, os.O_RDONLY)
    if way == 0:                # all of it
        at = 0
        while part := w.call(os.read, fd, 1 << 18):
            w.must(part == data[at:at + len(part)], "%s differs at %d" % (path, at))
            at += len(part)
        w.must(at == size, "%s ends at %d" % (path, at))
    elif way == 1:              # here and there
        for _ in range(20):
            at = w.rnd.randrange(size)
            part = w.call(os.pread, fd, 4096, at)
            w.must(part == data[at:at + 4096], "%s differs at %d" % (path, at))
            time.sleep(0.01)
    else:                       # mapped
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as m:
            for _ in range(20):
                at = w.rnd.randrange(size)
                w.must(m[at:at + 4096] == data[at:at + 4096], "%s differs at %d" % (path, at))
    w.call(os.close, fd)


def lists(w, step):
    got = sorted(w.call(os.listdir, w.inputs))
    w.must(got == sorted(INPUTS), "the input holds %s" % got[:9])
    name = w.rnd.choice(list(INPUTS))
    w.must(w.call(os.stat, os.path.join(w.inputs, name)).st_size == INPUTS[name], "size of " + name)
    try:
        w.call(os.stat, os.path.join(w.inputs, "none.%d" % step))
        raise Wrong("a file that is not there")
    except FileNotFoundError:
        pass


def files(w, step):
    name = "f%d" % w.rnd.randrange(12)
    what = w.rnd.randrange(6)
    if what <= 1 or name not in w.model:
        data = pattern((w.place, step), w.rnd.randrange(1, 200_000))
        w.write(name, data, sync=what == 0)
        w.model[name] = data
    elif what == 2:
        to = "f%d" % w.rnd.randrange(12)
        w.call(os.rename, w.path(name), w.path(to))
        w.model[to] = w.model.pop(name)
    elif what == 3:
        w.call(os.unlink, w.path(name))
        del w.model[name]
    elif what == 4:
        w.expect(name, w.model[name])
    else:
        size = w.rnd.randrange(300_000)
        w.call(os.truncate, w.path(name), size)
        w.model[name] = w.model[name][:size].ljust(size, b"\0")
    w.expect_names(".", w.model)


def exclusive(w, step):
    name = "x%d" % step
    w.write(name, b"mine %d" % step, flags=os.O_CREAT | os.O_EXCL)
    try:
        w.call(os.open, w.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        raise Wrong("created twice: " + name)
    except FileExistsError:
        pass
    w.model[name] = b"mine %d" % step
    if len(w.model) > 10:
        old = next(iter(w.model))
        w.expect(old, w.model[old])
        w.call(os.unlink, w.path(old))
        del w.model[old]


def appends(w, step):
    line = b"%08d the quick brown fox\n" % step
    w.write("log", line, flags=os.O_CREAT | os.O_APPEND, sync=step % 7 == 0)
    w.model["log"] = w.model.get("log", b"") + line
    if step % 20 == 0:
        w.expect("log", w.model["log"])


def updates(w, step):
    if "db" not in w.model:
        w.model["db"] = pattern(w.place, 3 * MIB)
        w.write("db", w.model["db"])
    data = bytearray(w.model["db"])
    fd = w.call(os.open, w.path("db"), os.O_RDWR)
    for _ in range(8):
        at = w.rnd.randrange(len(data) - 5000)
        piece = pattern((w.place, step, at), w.rnd.randrange(1, 5000))
        w.call(os.pwrite, fd, piece, at)
        data[at:at + len(piece)] = piece
        at = w.rnd.randrange(len(data) - 5000)
        w.must(w.call(os.pread, fd, 5000, at) == data[at:at + 5000], "db differs at %d" % at)
    if step % 4 == 0:
        w.call(os.fsync, fd)
    w.call(os.close, fd)
    w.model["db"] = bytes(data)


def checkpoints(w, step):
    data = pattern((w.place, step), 10 * MIB + step)
    w.write("tmp", data, piece=MIB, sync=True)
    w.call(os.rename, w.path("tmp"), w.path("model"))
    w.model["model"] = data
    w.expect("model", data)
    time.sleep(0.5)


def streams(w, step):
    data = pattern((w.place, step), 40 * MIB + 17)
    w.write("large", data, piece=512 * 1024)
    w.model["large"] = data
    w.expect("large", data)
    time.sleep(1)


def trees(w, step):
    top = "t%d" % step
    w.call(os.mkdir, w.path(top))
    names = ["n%03d.%s" % (i, "x" * w.rnd.randrange(1, 60)) for i in range(w.rnd.randrange(1, 150))]
    for name in names:
        w.write(top + "/" + name, name.encode())
    seen = []
    with w.call(os.scandir, w.path(top)) as entries:    # read slowly: offsets have to stay true
        for entry in entries:
            seen.append(entry.name)
            if len(seen) % 40 == 0:
                time.sleep(0.02)
    w.must(sorted(seen) == sorted(names), "scandir of %d gave %d names, %d of them twice" %
        (len(names), len(seen), len(seen) - len(set(seen))))
    w.call(os.rename, w.path(top), w.path(top + ".moved"))
    w.expect_names(top + ".moved", names)
    w.call(shutil.rmtree, w.path(top + ".moved"))
    w.expect_names(".", [])


def unlinked(w, step):
    fd = w.call(os.open, w.path("gone"), os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    data = pattern((w.place, step), 100_000)
    w.call(os.write, fd, data)
    w.call(os.unlink, w.path("gone"))
    for _ in range(5):
        time.sleep(0.05)
        w.must(w.call(os.pread, fd, len(data), 0) == data, "a deleted file differs")
    w.call(os.close, fd)


WRITERS = [files, files, exclusive, appends, updates, checkpoints, streams, trees, unlinked]
READERS = [reads, reads, reads, lists]


def make_input(directory):
    for name, size in INPUTS.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(pattern(name, size))


def ending(word):
    if word.startswith("/"):
        return lambda: os.path.exists(word)
    end = time.monotonic() + float(word)
    return lambda: time.monotonic() >= end


def main():
    if sys.argv[1] == "--input":
        return make_input(sys.argv[2])
    out, copy = sys.argv[1], sys.argv[3]
    inputs = sys.argv[4] if len(sys.argv) > 4 else None
    is_over = ending(sys.argv[2])
    workers = [Worker(kind, os.path.join(out, "%02d.%s" % (i, kind.__name__)), inputs, i, is_over)
        for i, kind in enumerate(WRITERS)]
    if inputs:
        workers += [Worker(kind, None, inputs, 100 + i, is_over) for i, kind in enumerate(READERS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for w in workers:
        for text in w.failed + w.wrong:
            print(text, flush=True)
    for w in workers:
        if w.place:
            os.makedirs(os.path.join(copy, os.path.basename(w.place)))
        for name, data in w.model.items():
            w.expect(name, data)
            with open(os.path.join(copy, os.path.basename(w.place), name), "wb") as f:
                f.write(data)
    failed, wrong = sum(len(w.failed) for w in workers), sum(len(w.wrong) for w in workers)
    print("calls=%d longest_ms=%d failed=%d wrong=%d" % (sum(w.calls for w in workers),
        1000 * max(w.longest for w in workers), failed, wrong), flush=True)
    return 1 if failed + wrong else 0


if __name__ == "__main__":
    sys.exit(main())
