"""check_links.py FILE...: each relative link, picture and anchor of these Markdown files leads somewhere; GitHub's rules
for the names of headings.  Prints those that do not.
"""
import os
import re
import sys


def prose(path):
    """The text without what is in fences and code spans."""
    with open(path) as file:
        text = file.read()
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda m: m.group() if m.group() == "``" else "`" + "x" * (len(m.group()) - 2) + "`", text)


def anchors(path):
    found, seen = set(), {}
    with open(path) as file:
        text = re.sub(r"^```.*?^```$", "", file.read(), flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6} +(.*?) *$", text, re.M):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        n = seen.get(name, 0)
        seen[name] = n + 1
        found.add(name if n == 0 else f"{name}-{n}")
    return found


def main():
    bad, count = [], 0
    for page in sys.argv[1:]:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(path):
                bad.append(f"{page}: {target}")
            elif anchor and anchor not in anchors(path):
                bad.append(f"{page}: {target}: no such heading")
    print("\n".join(bad))
    sys.exit(bool(bad) or count < 100)


main()
