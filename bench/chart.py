"""chart.draw(rows, machine, versions): an SVG of how many times as good amlshim is.

One group a workload, one bar a contender it is compared with; the axis is logarithmic, 1 is a draw,
and a mark across a bar is the ratio that the design asks for.
"""

import html
import math

WIDTH, LEFT, RIGHT = 980, 250, 70
BAR, GAP, GROUP = 13, 3, 12
LEAST, MOST = 0.1, 100
COLOURS = {"rclone": "#3b6ea5", "blobfuse2": "#7a4fa3", "curl": "#5f6b73", "floor": "#9aa3a9",
           "local": "#9aa3a9", "bound": "#9aa3a9", "write-behind": "#2f8f83"}
OTHER = "#2f8f83"
GOOD, SHORT = "#1b7f3b", "#b3261e"
INK, FAINT = "#1f2328", "#d6dade"
TITLES = {
    "init-start": "init: start to exec", "init-memory": "init: private memory",
    "startup-3-mounts": "start with 3 mounts", "sequential": "read one file, cold",
    "sequential-again": "read it again", "sequential-cpu": "CPU of it, per GiB",
    "small-first": "100 KiB files, cold", "small-first-cpu": "CPU of it, per GiB",
    "small-again": "100 KiB files, again", "random-4k": "random 4 KiB, cold",
    "list": "list 100,000 names", "write": "write 1 GiB", "write-cpu": "CPU of it, per GiB",
    "write-small-1": "64 KiB files, 1 writer", "write-small-8": "64 KiB files, 8 writers",
    "reread": "read after remount",
}


def place(ratio):
    span = math.log10(MOST / LEAST)
    within = min(max(ratio, LEAST), MOST)
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(within / LEAST) / span


def text(x, y, what, size=12, anchor="start", colour=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{colour}" font-weight="{weight}">{html.escape(what)}</text>')


def line(x1, y1, x2, y2, colour=FAINT, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def goals(row):
    """Ratio asked for and whether it is met, by contender."""
    found = {}
    for wanted, _, met, against in row.verdicts():
        if against != "limit":
            who = wanted.split(" x ")[1]
            found[who] = (float(wanted.split()[1]), met)
    return found


def bars(row, y):
    out, wanted = [], goals(row)
    for who in row.samples:
        ratio = row.ratio(who)
        if who in ("amlshim", "write-behind") or ratio is None:
            continue
        low, high = sorted((place(1), place(ratio)))
        out.append(f'<rect x="{low:.1f}" y="{y}" width="{max(high - low, 1):.1f}" height="{BAR}" '
                   f'fill="{COLOURS.get(who, OTHER)}"/>')
        out.append(text(LEFT - 8, y + 10.5, who, 11, "end", "#57606a"))
        label = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
        colour = INK
        if who in wanted:
            goal, met = wanted[who]
            colour = GOOD if met else SHORT
            out.append(line(place(goal), y - 2, place(goal), y + BAR + 2, colour, 2.5))
        edge = max(high, place(wanted[who][0]) if who in wanted else 0)
        out.append(text(edge + 6, y + 10.5, label, 11, colour=colour, weight="bold"))
        y += BAR + GAP
    return out, y


def header(machine, versions):
    about = (f"{machine['cores']} cores, {machine['processor']}, kernel {machine['kernel']}; "
             + ", ".join(value if name in value else f"{name} {value}"
                         for name, value in sorted(versions.items()) if name != "amlshim"))
    return [text(20, 30, "How many times as good amlshim is", 19, weight="bold"),
            text(20, 50, about, 11, colour="#57606a"),
            text(20, 66, "Longer to the right of 1 is better. An upright mark is the target of the "
                 "design: green when met, red when not.", 11, colour="#57606a")]


def section(setting):
    if setting == "none":
        return "Store on loopback, without delay"
    if setting.endswith("ms"):
        return f"Store {setting[:-2]} ms away, a bounded rate for each connection"
    return "Start and PID 1"


def scale(y, top):
    """The grid, with its numbers above and below."""
    out = []
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        x, colour = place(tick), "#57606a"
        out.append(line(x, top, x, y, colour if tick == 1 else FAINT, 1.5 if tick == 1 else 0.7))
        out.append(text(x, y + 14, f"{tick:g}", 11, "middle", colour))
        out.append(text(x, top - 5, f"{tick:g}", 11, "middle", colour))
    return out


def draw(rows, machine, versions):
    shown = [row for row in rows if row.workload in TITLES and
             any(row.ratio(who) is not None for who in row.samples if who != "amlshim")]
    order = sorted({row.setting for row in shown}, key=lambda s: (s == "none", s.endswith("ms"), s))
    body, y = [], 96
    for setting in order:
        y += 18
        body.append(text(20, y, section(setting), 14, weight="bold"))
        body.append(line(20, y + 6, WIDTH - 20, y + 6))
        y += 16
        for row in (row for row in shown if row.setting == setting):
            body.append(text(20, y + 10.5, TITLES[row.workload], 12))
            group, y = bars(row, y)
            body += group
            y += GROUP
    height = y + 30
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif">'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
            + "\n".join(header(machine, versions) + scale(y, 96) + body) + "</svg>\n")
