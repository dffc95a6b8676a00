"""A figure of the explorer that moves, as one SVG: its lines are drawn step by step, over and over.

It is made of what the page's *SVG* button gives, asks for nothing and runs no script, so that browsers show it in an
``<img>`` too. Who has asked for less motion sees it whole.
"""

import re
from itertools import accumulate, pairwise
from math import hypot
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
SECONDS, HELD = 9, 3
"""How long lines are drawn, and how long they then stay."""


def moving(picture: str) -> str:
    """The picture's first panel, with every line that is drawn over its ground, and the dot at its end, in motion."""
    ElementTree.register_namespace("", SVG)
    root = _first_panel(ElementTree.fromstring(picture))
    styles = []
    for panel in root.iter(f"{{{SVG}}}svg"):
        for marks in panel.iterfind(f"./{{{SVG}}}g//{{{SVG}}}g[@class='marks']"):
            if broken := [each for each in marks if each.get("d", "").count("M") > 1]:
                raise ValueError(f"a line of {broken[0].get('stroke')} has gaps, so it cannot be drawn as one")
            lines = [each for each in marks if len(_points(each)) > 2]
            dots = [each for each in marks if each.get("d", "").endswith("h.01")]
            for line in lines:
                name = f"m{len(styles)}"
                styles.append(_style(name, line))
                end = _points(line)[-1]
                for dot in dots:
                    if dot.get("stroke") == line.get("stroke") and _points(dot)[0] == end:
                        dot.set("class", f"{name} dot")
                        dot.set("d", "M0 0h.01")
                        dot.set("style", f"offset-path: path('{line.get('d')}')")
    head = ElementTree.Element(f"{{{SVG}}}style")
    head.text = _COMMON + "".join(styles)
    root.insert(0, head)
    return ElementTree.tostring(root, encoding="unicode")


_COMMON = f"""
@property --done {{ syntax: "<number>"; inherits: false; initial-value: 1; }}
.line {{ stroke-dasharray: 1; stroke-dashoffset: calc(1 - var(--done)); }}
.dot {{ offset-rotate: 0deg; offset-distance: calc(var(--done) * 100%); }}
.line, .dot {{ --done: 1; animation: {SECONDS + HELD}s linear infinite; }}
@media (prefers-reduced-motion: reduce) {{ .line, .dot {{ animation: none; }} }}
"""


def _first_panel(root: ElementTree.Element) -> ElementTree.Element:
    place, panel = next((k, each) for k, each in enumerate(root) if each.tag == f"{{{SVG}}}svg")
    for later in [*root][place + 1 :]:
        root.remove(later)
    width, height = root.get("width"), float(panel.get("y", 0)) + float(panel.get("height", 0))
    root.set("height", f"{height:g}")
    root.set("viewBox", f"0 0 {width} {height:g}")
    return root


def _style(name: str, line: ElementTree.Element) -> str:
    """Have a line be drawn, a step in each equal part of the time; what share of it is done by when."""
    points = _points(line)
    lengths = [hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    done = [0.0, *accumulate(lengths)]
    whole, steps = done[-1] or 1.0, len(points) - 1
    share = 100 * SECONDS / (SECONDS + HELD) / steps
    frames = " ".join(f"{k * share:.2f}% {{ --done: {length / whole:.4f} }}" for k, length in enumerate(done))
    line.set("class", f"{name} line")
    line.set("pathLength", "1")
    line.attrib.pop("stroke-dasharray", None)
    return f"@keyframes {name} {{ {frames} }}\n.{name} {{ animation-name: {name}; }}\n"


def _points(path: ElementTree.Element) -> list[tuple[float, float]]:
    """Where a path goes, of those that are one line from point to point."""
    d = path.get("d", "")
    return [] if d.count("M") != 1 else [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", d)]
