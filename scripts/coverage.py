#!/usr/bin/env python3
"""coverage.py OBJECTS... REPORT: what gcov counted below OBJECTS, of the files in shim/, as a page.
coverage.py OBJECTS... -: the tables alone, on the terminal.
coverage.py --check REPORT: is the page as it was generated?

The page has, by folder and by file, the lines that were run, those of them that are error paths, and the
branches that were taken; then each line that was not run, by function.

An error path is a branch that ends in giving an error: the last statement of an if's (or else's, case's,
loop's) body returns -1, NULL, an errno or what an err_ function gives, jumps to where that is done, or ends
the process; and a function that does nothing else.  What is around it does not make a line an error path.

A comment "uncovered: WHY" excuses its line, and the body of the if that the line begins: for what no test
can bring about.  An excused line that is run after all is an error, so that excuses do not outlive their reason.

Ends with 1 if the lines of all are below TOTAL_MIN percent or one of WHOLE is neither run nor excused.
"""
import collections
import hashlib
import json
import os
import re
import subprocess
import sys

TOTAL_MIN = 90.0
WHOLE = ("shim/plan", "shim/identity")
DIGEST = "Digest of this page: "
EXCUSE = re.compile(r"/\*\s*uncovered: (.*?)\s*\*/")
CONTROL = re.compile(r"(?:\} )?(?:if|else|for|while|do|switch|case|default)\b|[A-Z_]+:|\w+:$")
LEAVES = re.compile(
    r"return \((?:-1|NULL|-?E[A-Z]{2,}|-errno|err_\w+\(|-?ERR_|[a-z_]*(?:fail|refuse|bad|complain|reject)\w*\()"
    r"|goto (?:fail|bad|error)\w*;|(?:_exit|exit|fatal)\((?!0|EXIT_SUCCESS)|fuse_reply_err\(\w+, [Ee-]"
    r"|(?:err_set|err_errno|err_on|err_doing|err_as)\(")


class Line:
    """A line of code: how often it ran, in which function, its branches."""
    def __init__(self):
        self.count = 0
        self.function = ""
        self.branches = []

    def add(self, got):
        self.count += got["count"]
        self.function = self.function or got.get("function_name", "")
        new = [b["count"] for b in got["branches"]]
        if len(new) == len(self.branches):
            self.branches = [a + b for a, b in zip(self.branches, new)]
        elif len(new) > len(self.branches):
            self.branches = new


class Source:
    """What the text of a file says about its lines: bodies, error paths, excuses."""
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.text = file.read().split("\n")
        self.indents = [len(t) - len(t.lstrip("\t")) for t in self.text]
        self.excuses = {}
        for number, text in enumerate(self.text, 1):
            found = EXCUSE.search(text)
            if found:
                for line in self.excused_by(number):
                    self.excuses[line] = found.group(1)

    def is_continued(self, number):
        """KNF: a statement goes on with four spaces more."""
        text = self.text[number - 1]
        return text.lstrip("\t").startswith("    ")

    def excused_by(self, number):
        first = self.indents[number - 1]
        yield number
        while number < len(self.text):
            number += 1
            text = self.text[number - 1]
            if text.strip() and self.indents[number - 1] <= first and not self.is_continued(number):
                return
            yield number

    def must_not_run(self, number):
        """Excused, and not the condition of what is."""
        if number not in self.excuses:
            return False
        own = EXCUSE.search(self.text[number - 1]) is not None
        return not own or not CONTROL.match(self.text[number - 1].strip())

    def body(self, number):
        """The branch a line stands in: first and last line, and the line it hangs on (0: a function)."""
        indent = self.indents[number - 1]

        def inside(line):
            return not self.text[line - 1].strip() or self.indents[line - 1] >= indent

        first = last = number
        while first > 1 and inside(first - 1):
            first -= 1
        while last < len(self.text) and inside(last + 1):
            last += 1
        # case labels stand as deep as their switch, so a body goes on only to the next one.
        head = first - 1
        while head > 0 and self.is_continued(head):
            head -= 1
        return first, last, head

    def leaves(self, first, last, indent):
        """Does the last statement of a body give an error?"""
        at = last
        while at >= first and (not self.text[at - 1].strip() or self.indents[at - 1] != indent
                               or self.is_continued(at)):
            at -= 1
        if at < first:
            return False
        return bool(LEAVES.search(" ".join(t.strip() for t in self.text[at - 1:last])))

    def is_error_path(self, number):
        indent = self.indents[number - 1]
        while indent > 0:
            first, last, head = self.body(number)
            if indent == 1:
                returns = sum("return" in t for t in self.text[first - 1:last])
                return returns <= 1 and self.leaves(first, last, indent)
            if CONTROL.match(self.text[head - 1].strip()) and self.leaves(first, last, indent):
                return True
            number, indent = head, self.indents[head - 1]
        return False


class Figures:
    def __init__(self):
        self.lines = self.run = self.excused = self.errors = self.errors_run = 0
        self.branches = self.taken = 0

    def __iadd__(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def cells(self):
        return [str(self.lines), percent(self.run, self.lines), str(self.lines - self.run),
                str(self.excused) if self.excused else "", percent(self.errors_run, self.errors),
                percent(self.taken, self.branches)]


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else ""


def gcov(objects):
    """{file: {line number: Line}} from all objects of shim/."""
    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    notes = sorted(os.path.join(folder, name) for top in objects
                   for folder, _, names in os.walk(os.path.join(top, "shim"))
                   for name in names if name.endswith(".gcno") and
                   os.path.exists(os.path.relpath(os.path.join(folder, name[:-5] + ".c"), top)))
    if not notes:
        sys.exit(f"coverage: no objects below {' '.join(objects)}")
    for at in range(0, len(notes), 20):
        out = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout"] + notes[at:at + 20],
                             check=True, capture_output=True, text=True).stdout
        for text in out.splitlines():
            for file in json.loads(text)["files"]:
                if file["file"].startswith("shim/"):
                    for line in file["lines"]:
                        files[file["file"]][line["line_number"]].add(line)
    return files


def judge(path, lines):
    """A file's figures, and what was not run of it: {function: [(line, is it an error path)]}."""
    source, figures, missing, excused, stale = Source(path), Figures(), {}, [], []
    for number in sorted(lines):
        line = lines[number]
        is_error = source.is_error_path(number)
        figures.lines += 1
        figures.errors += is_error
        figures.branches += len(line.branches)
        figures.taken += sum(n > 0 for n in line.branches)
        if line.count > 0:
            figures.run += 1
            figures.errors_run += is_error
            if source.must_not_run(number):
                stale.append(f"{path}:{number} is excused, but it is run")
        elif number in source.excuses:
            figures.excused += 1
            excused.append((number, source.excuses[number]))
        else:
            missing.setdefault(line.function, []).append((number, is_error))
    return figures, missing, excused, stale


def ranges(numbers):
    """[(1, e), (2, e), (5, f)] as "1-2*, 5": a row of lines that are all of one kind is one range."""
    rows = []
    for number, is_error in numbers:
        if rows and rows[-1][2] == is_error and number - rows[-1][1] <= 1:
            rows[-1][1] = number
        else:
            rows.append([number, number, is_error])
    return ", ".join((str(a) if a == b else f"{a}-{b}") + ("*" if e else "") for a, b, e in rows)


HEAD = ["", "lines", "run", "not run", "excused", "error paths run", "branches taken"]


def table(rows):
    out = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    return out + ["| " + " | ".join([name] + f.cells()) + " |" for name, f in rows]


def page(folders, files, total, missing, excused):
    out = ["# Coverage", "",
           "What the unit tests and the bats suites run of `shim/`. `make coverage` generates this page;",
           "do not edit it. Counted are processes that were killed and those of other users as well, but not those in",
           "containers and chroots (see `tests/coverage/counters.c`).", "",
           "*Error paths* are lines in a branch that ends in giving an error. *Excused* lines have a comment in the source that says",
           "why no test can bring them about (\"uncovered: ...\"); they count as not run.", ""]
    out += table(folders + [("**all**", total)])
    out += ["", "## Files", ""] + table(files)
    out += ["", "## Excused", ""]
    out += [f"- `{path}:{number}`: {why}" for path, number, why in excused] or ["None."]
    out += ["", "## Not run", "", "By function; `*` marks error paths.", ""]
    for path, functions in missing:
        out += [f"**{path}**", ""]
        out += [f"- `{name}`: {ranges(numbers)}" for name, numbers in functions.items()] + [""]
    return "\n".join(out).rstrip("\n") + "\n"


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def first_of_each(path, excused):
    """An excuse for a whole body is told once."""
    previous = (0, "")
    for number, why in excused:
        if why != previous[1] or number - previous[0] > 3:
            yield path, number, why
        previous = (number, why)


def check(report):
    with open(report, encoding="utf-8") as file:
        text, _, sum_line = file.read().rpartition("\n" + DIGEST)
    if not text or sum_line.strip() != digest(text):
        sys.exit(f"{report} was edited by hand: `make coverage` generates it")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        return check(sys.argv[2])
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    objects, report = sys.argv[1:-1], sys.argv[-1]
    folders, total, files, missing, excused, complaints = {}, Figures(), [], [], [], []
    for path, lines in sorted(gcov(objects).items()):
        figures, not_run, excuses, stale = judge(path, lines)
        folder = "shim/" + path.split("/")[1] if path.count("/") > 1 else path
        files.append((f"`{path}`", figures))
        folders.setdefault(folder, Figures())
        folders[folder] += figures
        total += figures
        complaints += stale
        excused += first_of_each(path, excuses)
        if not_run:
            missing.append((path, not_run))
    for path, functions in missing:
        if os.path.dirname(path) in WHOLE:
            complaints += [f"{path}: {name}: {ranges(numbers)} was not run" for name, numbers in functions.items()]
    if 100 * total.run < TOTAL_MIN * total.lines:
        complaints.append(f"{percent(total.run, total.lines)} of all lines were run, wanted {TOTAL_MIN} %")
    rows = [(f"`{name}`", f) for name, f in sorted(folders.items())]
    if report == "-":
        print("\n".join(table(rows + [("all", total)]) + [""] + table(files)))
        return None
    text = page(rows, files, total, missing, excused)
    with open(report, "w", encoding="utf-8") as file:
        file.write(text + "\n" + DIGEST + digest(text) + "\n")
    print("\n".join(table(rows + [("all", total)])))
    if complaints:
        sys.exit("\n".join(complaints))
    return None


if __name__ == "__main__":
    main()
