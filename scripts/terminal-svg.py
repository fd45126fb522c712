"""terminal-svg.py FILE PROMPT COLUMNS SUBSTITUTIONS COMMAND...: runs the command in a terminal of so many
columns and draws what it printed, under the PROMPT line that a person would have typed, as an SVG in FILE.

SUBSTITUTIONS is a file with a line "REGEX<tab>TEXT" for each thing that differs from machine to machine.
The picture has a background of its own, so it reads the same on light and dark pages.  The words are the
program's; that the first one of a line is coloured or bold is this script's, for the eye.  A control
character that is not drawn here is an error, as is a command that ends by a signal or takes a minute.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from xml.sax.saxutils import escape

CHAR_W, LINE_H, PAD, BAR, FONT = 7.8, 18, 16, 30, 13
LIMIT_S = 60
COLOURS = {"ok": "#7fd18b", "skip": "#9aa4b2", "warn": "#f0c674", "FAIL": "#ff8f87"}


def run(command, columns):
    """What it prints in a terminal, and its status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    deadline, out = time.monotonic() + LIMIT_S, b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            os.kill(pid, signal.SIGKILL)
            sys.exit(f"terminal-svg: {command[0]} does not end")
        try:
            part = os.read(fd, 65536)
        except OSError:             # the last one has closed the terminal
            break
        if not part:
            break
        out += part
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        sys.exit(f"terminal-svg: {command[0]} ended by a signal")
    return out.decode().replace("\r\n", "\n"), os.WEXITSTATUS(status)


def substitute(text, rules):
    with open(rules) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                pattern, new = line.rstrip("\n").split("\t")
                text = re.sub(pattern, new, text, flags=re.M)
    return text


def fold(text, columns):
    """Lines as a terminal breaks them."""
    for line in text.rstrip("\n").split("\n"):
        yield line[:columns]
        while len(line) > columns:
            line = line[columns:]
            yield line[:columns]


def span(line, first):
    """Its first word in the colour of what it says, if it says something."""
    word = re.match(r"(ok|skip|warn|FAIL)(?= )", line)
    if first:
        return f'<tspan fill="#8ab4f8">$</tspan>{escape(line[1:])}'
    if word:
        word = word.group()
        return f'<tspan fill="{COLOURS[word]}" font-weight="bold">{word}</tspan>{escape(line[len(word):])}'
    if re.match(r"(INPUT|OUTPUT|environment)\b", line):
        return f'<tspan font-weight="bold">{escape(line)}</tspan>'
    return escape(line)


def draw(lines, columns, title):
    width, height = columns * CHAR_W + 2 * PAD, len(lines) * LINE_H + BAR + 2 * PAD
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
           f'viewBox="0 0 {width:g} {height:g}" role="img">')
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#1b1f27"/>'
    for x, colour in zip((18, 38, 58), ("#ff5f57", "#febc2e", "#28c840")):
        yield f'<circle cx="{x}" cy="16" r="6" fill="{colour}"/>'
    yield (f'<g fill="#e6e9ef" font-size="{FONT}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, '
           f'\'DejaVu Sans Mono\', monospace" xml:space="preserve">')
    for n, line in enumerate(lines):
        if line:
            # textLength: columns stay columns, whatever font there is.
            yield (f'<text x="{PAD}" y="{BAR + PAD + n * LINE_H + FONT - 3:g}" textLength="{len(line) * CHAR_W:g}" '
                   f'lengthAdjust="spacingAndGlyphs">{span(line, n == 0)}</text>')
    yield "</g>\n</svg>"


def main():
    target, prompt, columns, rules, *command = sys.argv[1:]
    columns = int(columns)
    text, status = run(command, columns)
    text = substitute(text, rules)
    odd = re.search(r"[^\n\x20-\x7e\u00a0-\uffff]", text)
    if odd:
        sys.exit(f"terminal-svg: cannot draw {odd.group()!r}")
    lines = [f"$ {prompt}", *fold(text, columns)]
    if status:
        lines += ["$ echo $?", str(status)]
    with open(target, "w") as file:
        file.write("\n".join(draw(lines, columns, prompt)) + "\n")


main()
