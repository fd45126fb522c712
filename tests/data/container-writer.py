"""Holds a file open with a line in it, until SIGTERM: container-writer.py FILE."""
import signal
import sys

file = open(sys.argv[1], "w")
file.write("text\n")
file.flush()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
while True:
    signal.pause()
