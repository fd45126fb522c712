"""check_troubleshooting.py PROGRAM: what docs/TROUBLESHOOTING.md says against the program and its tables; run from
the top of the tree.

- each message of a three-column table, and each quoted one further down, is in the program; AADSTS numbers are
  in the table of shim/identity/aadsts.c
- the third column is a remedy of shim/base/err.c, and no remedy has two rows with the same message
- each code that the tables of refusals give a remedy stands in the row of that remedy
"""
import re
import sys

ERRORS = []
TABLES = ["shim/azure/refusal.c", "shim/azure/keyvault.c"]
# Depend on more than the code (special() in shim/azure/refusal.c): no row of their own.
SPECIAL = {"InvalidAuthenticationInfo"}


def wrong(text):
    ERRORS.append(text)


def remedies():
    with open("shim/base/err.c") as file:
        text = file.read()
    found = {}
    for name, strings in re.findall(r'\[(REMEDY_\w+)\] =\s*((?:"(?:[^"\\]|\\.)*"\s*)+),', text):
        found[name] = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', strings)).replace('\\"', '"')
    return found


def page_rows(page):
    """(messages, remedy) of each row with three columns."""
    for line in page.split("\n"):
        cells = line.strip("| ").split(" | ")
        if line.startswith("| `") and len(cells) == 3:
            yield re.findall(r"`([^`]*)`", cells[0]), cells[2]


def codes():
    """(code, remedy) of the tables in the source."""
    for path in TABLES:
        with open(path) as file:
            yield from re.findall(r'\{ \d+, "(\w+)", ERR_\w+,\s*(REMEDY_\w+)', file.read())
    with open("shim/identity/aadsts.c") as file:
        for number, remedy in re.findall(r"\{ (\d+), (REMEDY_\w+) \}", file.read()):
            yield "AADSTS" + number, remedy


def main():
    with open(sys.argv[1], "rb") as file:
        program = file.read()
    with open("docs/TROUBLESHOOTING.md") as file:
        page = file.read()
    known, table = remedies(), dict(codes())
    rows = list(page_rows(page))
    if len(rows) < 60 or len(table) < 80:
        wrong(f"{len(rows)} rows, {len(table)} codes: they are not read rightly")
    places = {}
    for messages, remedy in rows:
        if remedy not in known.values():
            wrong(f"no remedy of the program: {remedy}")
        for message in messages:
            if message.startswith("AADSTS"):
                if message not in table:
                    wrong(f"not in the table of AADSTS codes: {message}")
            elif message.encode() not in program:
                wrong(f"not in the program: {message}")
            if remedy in places.setdefault(message, []):
                wrong(f"twice: {message}")
            places[message].append(remedy)
    for code, remedy in table.items():
        if remedy in ("REMEDY_NONE", "REMEDY_REPORT_BUG") or code in SPECIAL:
            continue
        if known[remedy] not in places.get(code, []):
            wrong(f"not on the page, with the remedy that the program gives: {code}")
    for quoted in re.findall(r'^\|[^|]*?"([^"|]*)"', page, re.M):
        # "cannot" stands in front of what was being done; capitals are for what differs.
        fixed = max(re.split(r"\b[A-Z]+\b", quoted.removeprefix("cannot ")), key=len).strip()
        if fixed.encode() not in program:
            wrong(f"not in the program: {quoted}")
    print("\n".join(ERRORS))
    sys.exit(bool(ERRORS))


main()
