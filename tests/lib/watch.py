"""A file that is read by others while it is written: watch.py DIR [SECONDS].

One process makes a file and writes it in pieces of odd sizes; others read it with pread, from its beginning to its
end, with splice, and through private and shared mappings, old ones and new.  What the writer has been told is
written, each of them must see, byte for byte, whichever way it looks.  Then the file is closed, and the same looks at
what it has become by those who open it now.  Ends with a line of counts, or with the first byte that was wrong.
"""
import ctypes
import mmap
import multiprocessing
import os
import random
import sys
import time

MIB = 1 << 20
SIZE = 6 * MIB
PATTERN = random.Random(5).randbytes(SIZE)


def check(got, at, want_end, how):
    """The bytes from at on; all that was there before the look must be among them."""
    if got != PATTERN[at:at + len(got)]:
        wrong = next(k for k, byte in enumerate(got) if byte != PATTERN[at + k])
        sys.exit(f"{how}: byte {at + wrong} is {got[wrong]}, not {PATTERN[at + wrong]}; {want_end} were written")
    if at + len(got) < want_end:
        sys.exit(f"{how}: ends at {at + len(got)}, where {want_end} bytes were written")


def by_pread(fd, known, rng):
    at = rng.randrange(known)
    # The end, where a write has just been, is the interesting place.
    at = max(at, known - rng.randrange(1, 20000)) if rng.random() < 0.7 else at
    check(os.pread(fd, 30000, at), at, min(known, at + 30000), "pread")


def by_read(fd, known, rng):
    del rng
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while part := os.read(fd, MIB):
        parts.append(part)
    check(b"".join(parts), 0, known, "read")


def by_splice(fd, known, rng):
    """From the kernel's pages: of what is being written in this instant there may be zeros (docs/SEMANTICS.md)."""
    at = max(0, known - rng.randrange(1, 20000))
    out, into = os.pipe()
    count = os.splice(fd, into, 60000, offset_src=at)
    check(os.read(out, count)[:known - at], at, at + 1, "splice")
    os.close(out)
    os.close(into)


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def by_mapping(share):
    kept = []

    # All that it will be is mapped at once (Python's mmap refuses that): its last page changes under who looks.
    def look(fd, known, rng):
        if kept and rng.random() < 0.02:
            LIBC.munmap(kept.pop(), SIZE)
        if not kept:
            kept.append(LIBC.mmap(None, SIZE, mmap.PROT_READ, share, fd, 0))
            if kept[0] == ctypes.c_void_p(-1).value:
                sys.exit(f"mmap: {os.strerror(ctypes.get_errno())}")
        at = max(0, known - rng.randrange(1, 20000))
        check(ctypes.string_at(kept[0] + at, known - at), at, known, "mapping")
    return look


WAYS = {"pread": by_pread, "read": by_read, "splice": by_splice, "private": by_mapping(mmap.MAP_PRIVATE),
        "shared": by_mapping(mmap.MAP_SHARED)}


def reader(path, way, seed, known, done, looks):
    rng = random.Random(seed)
    fd = os.open(path, os.O_RDONLY)
    while not done.value:
        length = known.value
        if length > 0:
            WAYS[way](fd, length, rng)
            looks.value += 1
        if rng.random() < 0.2:
            os.close(fd)
            fd = os.open(path, os.O_RDONLY)


def write(path, rng, known, seconds):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    pause = seconds / (SIZE / 20000)
    at = 0
    yield
    while at < SIZE:
        n = rng.choice((1, 7, 100, 4096, rng.randrange(1, 5000), rng.randrange(1, 80000)))
        at += os.write(fd, PATTERN[at:at + n])
        known.value = at
        if rng.random() < 0.01:
            os.fsync(fd)
        time.sleep(pause)
    os.close(fd)


def watched(path, seconds, seed):
    known = multiprocessing.Value("q", 0)
    done = multiprocessing.Value("b", 0)
    steps = write(path, random.Random(seed), known, seconds)
    next(steps)
    readers = []
    for n, way in enumerate(WAYS):
        looks = multiprocessing.Value("q", 0)
        process = multiprocessing.Process(target=reader, args=(path, way, seed + n, known, done, looks))
        process.start()
        readers.append((way, process, looks))
    for _ in steps:
        pass
    # It is closed now; they go on for a while, those that open it anew among them.
    time.sleep(0.3)
    done.value = 1
    counts = []
    for way, process, looks in readers:
        process.join()
        if process.exitcode != 0:
            sys.exit(f"the reader by {way} failed")
        if looks.value == 0:
            sys.exit(f"nobody looked by {way}")
        counts.append(f"{way} {looks.value}")
    for way in WAYS:
        fd = os.open(path, os.O_RDONLY)
        WAYS[way](fd, SIZE, random.Random(seed))
        os.close(fd)
    return counts


def others_write(path):
    """One writes, one appends, a third one maps it to write, all while it is being made; then it is changed."""
    first = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    second = os.open(path, os.O_WRONLY | os.O_APPEND)
    expected = b""
    for n in range(200):
        piece = b"%d." % n * (n + 1)
        if n % 3:
            os.pwrite(first, piece, len(expected))
        else:
            os.write(second, piece)
        expected += piece
    third = os.open(path, os.O_RDWR)
    with mmap.mmap(third, len(expected), mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        if view[:] != expected:
            sys.exit("who maps it does not see what two have appended")
        view[5000:5004] = b"MAPS"
        view.flush()
    os.pwrite(first, b"the end", len(expected))
    for fd in (first, second, third):
        os.close(fd)
    expected = expected[:5000] + b"MAPS" + expected[5004:] + b"the end"
    with open(path, "r+b") as again:
        if again.read() != expected:
            sys.exit("it is not what three have written")
        again.seek(100)
        again.write(b"again")
    expected = expected[:100] + b"again" + expected[105:]
    with open(path, "rb") as last:
        if last.read() != expected:
            sys.exit("it is not what was written last")


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0
    for round_ in range(2):
        print(*watched(f"{folder}/watched{round_}", seconds, round_))
    others_write(f"{folder}/appended")


main()
