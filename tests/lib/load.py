# load.py SECONDS BOUND_S INPUT COPY OURS OUT...: what a training job does all the time, for so long.
#
# INPUT is a mount, COPY holds the same files: readers compare random places and whole files, with what the
# kernel has of them dropped, and listings. Each OUT is a writable mount: files are written to a temporary
# name, synced, renamed over the last one, the oldest is deleted, all is read back; OURS/N is what the Nth
# has to hold at the end.
#
# Anything wrong, an error, or an operation that takes longer than the bound ends it with status 1. Prints
# the slowest operation of each kind.

import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import time

SECONDS, BOUND_S = int(sys.argv[1]), float(sys.argv[2])
INPUT, COPY, OURS = sys.argv[3:6]
OUTS = sys.argv[6:]
END = time.monotonic() + SECONDS
slowest = {}


def timed(what, call, *args):
    began = time.monotonic()
    result = call(*args)
    took = time.monotonic() - began
    slowest[what] = max(slowest.get(what, 0), took)
    if took > BOUND_S:
        raise RuntimeError("%s took %.1f s" % (what, took))
    return result


def forget(fd):
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def read_places(seed):
    pick = random.Random(seed)
    names = sorted(os.listdir(COPY))
    reads = 0
    while time.monotonic() < END:
        name = pick.choice(names)
        fd = timed("open", os.open, os.path.join(INPUT, name), os.O_RDONLY)
        copy = os.open(os.path.join(COPY, name), os.O_RDONLY)
        forget(fd)
        size = os.fstat(copy).st_size
        for _ in range(20):
            at, n = pick.randrange(size), pick.choice((100, 4096, 70000, 1 << 20))
            if timed("read", os.pread, fd, n, at) != os.pread(copy, n, at):
                raise RuntimeError("%s: wrong bytes, %d from %d" % (name, n, at))
            reads += 1
            time.sleep(0.02)
        os.close(fd)
        os.close(copy)
    return "%d reads agree" % reads


def read_whole(seed):
    names = sorted(os.listdir(COPY))
    rounds = 0
    while time.monotonic() < END:
        if sorted(timed("list", os.listdir, INPUT)) != names:
            raise RuntimeError("a listing differs")
        for name in names:
            with open(os.path.join(INPUT, name), "rb", buffering=0) as f:
                forget(f.fileno())
                digest = hashlib.sha256()
                while block := timed("read on", f.read, 1 << 20):
                    digest.update(block)
            with open(os.path.join(COPY, name), "rb") as f:
                if digest.digest() != hashlib.sha256(f.read()).digest():
                    raise RuntimeError("%s differs" % name)
        rounds += 1
        time.sleep(1)
    return "%d times all files agree" % rounds


def content(number, i):
    head = hashlib.sha256(b"%d.%d" % (number, i)).digest()
    return head * (290000 if i % 16 == 3 else 1 + i * 37 % 30000)


def sync_close(f):
    f.flush()
    timed("fsync", os.fsync, f.fileno())
    timed("close", f.close)


def save(name, data, last):
    f = timed("create", lambda: open(name + ".tmp", "wb", buffering=0))
    for at in range(0, len(data), 200000):
        timed("write", f.write, data[at:at + 200000])
    sync_close(f)
    timed("rename", os.rename, name + ".tmp", last or name)


def checkpoints(number):
    out, ours = OUTS[number], os.path.join(OURS, str(number))
    i = 0
    while time.monotonic() < END or i < 5:
        data = content(number, i)
        save("%s/epoch%d" % (out, i), data, None)
        save(out + "/epoch", data, out + "/latest")
        with open(out + "/events", "ab", buffering=0) as f:
            timed("append", f.write, b"round %d\n" % i)
        if i >= 3:
            timed("unlink", os.remove, "%s/epoch%d" % (out, i - 3))
        with open(out + "/latest", "rb", buffering=0) as f:
            forget(f.fileno())
            if f.readall() != data:
                raise RuntimeError("round %d: latest is not what was written" % i)
        want = sorted(["epoch%d" % k for k in range(max(0, i - 2), i + 1)] + ["events", "latest"])
        if sorted(timed("list", os.listdir, out)) != want:
            raise RuntimeError("round %d: %s" % (i, sorted(os.listdir(out))))
        i += 1
        time.sleep(0.5)
    os.makedirs(ours)
    for name in want:
        with open(os.path.join(ours, name), "wb") as f:
            k = i - 1 if name == "latest" else name[5:]
            f.write(b"".join(b"round %d\n" % k for k in range(i)) if name == "events"
                    else content(number, int(k)))
    return "%d checkpoints" % i


def run(kind, number, answers):
    try:
        said = kind(number)
        answers.put((kind.__name__, number, said, slowest, True))
    except BaseException as e:
        answers.put((kind.__name__, number, "FAILED: %r" % e, slowest, False))


def main():
    shutil.rmtree(OURS, ignore_errors=True)
    work = [(read_places, 1), (read_whole, 2)] + [(checkpoints, n) for n in range(len(OUTS))]
    answers = multiprocessing.Queue()
    children = [multiprocessing.Process(target=run, args=(kind, n, answers)) for kind, n in work]
    for child in children:
        child.start()
    good = True
    for _ in children:
        kind, number, said, slow, ok = answers.get()
        good = good and ok
        print("%s %d: %s; slowest, ms: %s" % (kind, number, said, " ".join(
            "%s %d" % (k, v * 1000) for k, v in sorted(slow.items()))), flush=True)
    for child in children:
        child.join()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
