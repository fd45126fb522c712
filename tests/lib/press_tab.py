#!/usr/bin/env python3
"""What zsh makes of words when a person presses Tab: press_tab.py DIRECTORY WORDS

DIRECTORY has the completion function.  zsh runs on a terminal of its own; what it shows, and then
"line<WORDS AS COMPLETED>", go to standard output.
"""
import os
import pty
import re
import select
import sys
import time

# Key ^T is handled behind Tab, and prints the line as it is then.
SETUP = ("show() {{ print -r -- \"line<$BUFFER>\"; zle -I; }}; zle -N show; bindkey '^T' show; "
         "fpath=({0} $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=9999; print set''up\n")


def read_until(fd, pattern, limit=60):
    seen, end = b"", time.monotonic() + limit
    while not re.search(pattern, seen):
        if time.monotonic() > end:
            sys.exit("gave up waiting for %r in %r" % (pattern, seen))
        if select.select([fd], [], [], 0.1)[0]:
            seen += os.read(fd, 65536)
    return seen


def main():
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", COLUMNS="200", LINES="200")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    os.write(fd, SETUP.format(sys.argv[1]).encode())
    read_until(fd, rb"setup\r")
    os.write(fd, sys.argv[2].encode() + b"\t\x14")
    sys.stdout.buffer.write(read_until(fd, rb"line<[^>]*>"))
    os.write(fd, b"\x15exit\n")
    os.close(fd)
    os.waitpid(pid, 0)


main()
