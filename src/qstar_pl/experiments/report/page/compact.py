"""The same figure in a fifth of the bytes that matplotlib takes: a page has hundreds of figures.

Everything stands where it stood to a tenth of a point, which is a seventh of a pixel on a screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count, groupby, pairwise

Point = tuple[int, int]
"""In tenths of a point."""
UNIT = 10
MANY = 3
"""So many marks of one look become one element."""
_PATH = re.compile(r'(<path\b[^>]*?) d="([^"]*)"')
_COMMAND = re.compile(r"([MLCQz])([^MLCQz]*)")
_USE = re.compile(r'<use xlink:href="#([^"]+)" x="([^"]+)" y="([^"]+)"(?: style="([^"]*)")?/>')
_USES = re.compile(r'(?:<use xlink:href="[^>]*\bx="[^>]*/>\s*)+')
_NO_TURN = re.compile(r' transform="rotate\(-?0[ )][^"]*"')
_STRAIGHT = re.compile(r'(<path d="M[-\d. ]*l[-\d. ]*") clip-path="[^"]*"(?= style="fill: none; stroke: #808080)')
"""A line of the grid, which ends where the axes end."""
_SPACES = re.compile(r"(?<=>)\s+(?=<)|(?<=>)\s*\n\s*|\s*\n\s*(?=<)")
_STYLE = re.compile(r'style="[^"]*"')
_ZERO = re.compile(r"(?<![\d.])(-?)0\.")
_TAG = re.compile(r"<[^>]*>")
_LONE = re.compile(
    r'<defs><path id="(?P<id>[^"]+)"(?P<d> d="[^"]*")(?: style="[^"]*")?/></defs>'
    r'(?P<group><g clip-path="[^"]*">)<use href="#(?P=id)" x="0" y="(?P<y>[^"]+)" (?P<style>style="[^"]*"/>)'
)
"""A band, which is defined in one place and used once."""
_TWICE = re.compile(
    r'<path d="(?P<d>[^"]*)" clip-path="(?P<clip>[^"]*)" style="(?P<style>[^"]*)"/>(?P<mark><defs>.*?</defs>)?'
    r'<g clip-path="(?P=clip)">(?P<marker><marker\b.*?</marker>)'
    r'<path d="(?P=d)" fill="none" style="(?P<marks>[^"]*)"/></g>'
)
"""A line, and the same once more for its marks."""


def compact(body: str, name: str) -> str:
    """Return what stands inside an SVG, as matplotlib writes it, with short paths and without empty groups.

    Args:
        body: its text.
        name: begins the identifiers that are added.

    """
    body = _PATH.sub(lambda one: f'{one[1]} d="{path(one[2])}"', _NO_TURN.sub("", body))
    numbers = count()
    body = _USES.sub(lambda one: "".join(_marks(one[0], name, numbers)), _STRAIGHT.sub(r"\1", body))
    body = _STYLE.sub(lambda one: re.sub(r"([:;,]) ", r"\1", one[0]), _SPACES.sub("", body))
    body = _without_empty_groups(body.replace("xlink:href", "href"))
    body = _LONE.sub(r'\g<group><path\g<d> transform="translate(0 \g<y>)" \g<style>', body)
    return _TWICE.sub(r'\g<mark>\g<marker><path d="\g<d>" clip-path="\g<clip>" style="\g<style>;\g<marks>"/>', body)


def path(data: str) -> str:
    """Return a path with straight lines by their differences, and without points on the way between two others."""
    found, line, at = list[str](), list[Point](), (0, 0)
    for letter, numbers in [*_COMMAND.findall(data), ("", "")]:
        points = _points(numbers.split())
        if letter == "L":
            line = line or [at]
            line += points
        elif line:
            found.append(_line(_bends(line)))
            line = []
        if letter == "M":
            line = points
        elif letter in ("C", "Q", "z"):
            found.append(letter + _numbers(points))
        at = points[-1] if points else at
    return "".join(found)


def _points(numbers: Sequence[str]) -> list[Point]:
    values = [round(float(one) * UNIT) for one in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def _numbers(points: Sequence[Point]) -> str:
    return _ZERO.sub(r"\1.", " ".join(f"{x / UNIT:g} {y / UNIT:g}" for x, y in points)).replace(" -", "-")


def _line(points: Sequence[Point]) -> str:
    """Return a line from its first point over the others."""
    moves = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    return f"M{_numbers(points[:1])}" + (f"l{_numbers(moves)}" if moves else "")


def _bends(points: Sequence[Point]) -> list[Point]:
    kept = list(points[:1])
    for point in points[1:]:
        if len(kept) > 1 and _is_between(kept[-2], kept[-1], point):
            kept[-1] = point
        else:
            kept.append(point)
    return kept


def _is_between(first: Point, middle: Point, last: Point) -> bool:
    a, b = (middle[0] - first[0], middle[1] - first[1]), (last[0] - middle[0], last[1] - middle[1])
    return a[0] * b[1] == a[1] * b[0] and a[0] * b[0] + a[1] * b[1] >= 0


def _marks(uses: str, name: str, numbers: Iterator[int]) -> Iterator[str]:
    """Yield marks of one look as the corners of an invisible line, each of which carries one."""
    for (mark, style), group in groupby(_USE.findall(uses), lambda one: (one[0], one[3])):
        points = _points([number for one in group for number in one[1:3]])
        look = f' style="{style}"' if style else ""
        if len(points) < MANY:
            for x, y in points:
                yield f'<use xlink:href="#{mark}" x="{x / UNIT:g}" y="{y / UNIT:g}"{look}/>'
        else:
            place = f"{name}-{next(numbers)}"
            shape = f'<use xlink:href="#{mark}"{look}/>'
            yield f'<marker id="{place}" markerUnits="userSpaceOnUse" overflow="visible">{shape}</marker>'
            yield f'<path d="{_line(points)}" fill="none" style="marker:url(#{place})"/>'


def _without_empty_groups(body: str) -> str:
    """Leave out the groups that say nothing of what they hold."""
    is_kept = list[bool]()

    def one(tag: re.Match[str]) -> str:
        text = re.sub(r"\s+(?=/?>$)", "", tag[0])
        if text == "</g>":
            return text if is_kept.pop() else ""
        if re.match(r"<g[ >]", text):
            is_kept.append(text != "<g>")
            return text if is_kept[-1] else ""
        return text

    return _TAG.sub(one, body)
