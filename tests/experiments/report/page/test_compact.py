"""A figure in fewer bytes."""

import re

import pytest

from qstar_pl.experiments.report.page.compact import compact, path


@pytest.mark.parametrize(
    ("data", "short"),
    [
        ("M 10.04 20.06 \nL 30 20.06 \nL 30 5 \nz\n", "M10 20.1l20 0 0-15.1z"),
        ("M 0 0 \nL 1 0.5 \nL 2 1 \nL 3 0.25 \n", "M0 0l2 1 1-.8"),  # what lies between its neighbors is left out
        ("M 0 0 \nL 2 0 \nL 1 0 \n", "M0 0l2 0-1 0"),  # but not where the line turns back
        ("M 0 0.5 \nC 0.1 0.2 0.3 0.4 0.5 0.6 \nL 1 1 \n", "M0 .5C.1 .2 .3 .4 .5 .6M.5 .6l.5 .4"),
        ("M 1 1 \nL 2 2 \nM 5 5 \nL 6 6 \n", "M1 1l1 1M5 5l1 1"),
        ("M 1 1 \n", "M1 1"),
    ],
    ids=range(6),
)
def test_paths_go_by_differences(data: str, short: str) -> None:
    assert path(data) == short


def test_rounding_does_not_add_up() -> None:
    data = " ".join(f"{letter} {0.04 * x} 0 L {0.04 * x} {x % 2}" for x, letter in enumerate("M" + "L" * 300))
    moves = re.findall(r"-?[\d.]+", path(data).partition("l")[2])
    assert sum(map(float, moves[::2])) == pytest.approx(12.0)


def test_many_marks_of_one_look_are_one_element() -> None:
    def mark(x: int, look: str) -> str:
        return f'<use xlink:href="#m" x="{x}.04" y="7" style="fill: {look}"/>\n'

    marks = "".join(mark(x, "red") for x in range(5)) + mark(9, "blue")
    assert compact(f'<g clip-path="url(#c)">\n{marks}</g>\n', "one") == (
        '<g clip-path="url(#c)">'
        '<marker id="one-0" markerUnits="userSpaceOnUse" overflow="visible"><use href="#m" style="fill:red"/></marker>'
        '<path d="M0 7l1 0 1 0 1 0 1 0" fill="none" style="marker:url(#one-0)"/>'
        '<use href="#m" x="9" y="7" style="fill:blue"/>'
        "</g>"
    )


def test_groups_that_say_nothing_go_and_texts_stay() -> None:
    body = '<g >\n <g id="a">\n  <g>\n   <text x="1">2 &lt; 3 and  4</text>\n  </g>\n </g>\n</g>\n'
    assert compact(body, "one") == '<g id="a"><text x="1">2 &lt; 3 and  4</text></g>'


def test_a_band_is_drawn_where_it_is_defined() -> None:
    band = '<defs>\n<path id="b" d="M 0 0 \nL 1 1 \n" style="stroke: none"/>\n</defs>\n'
    used = '<g clip-path="url(#c)">\n<use xlink:href="#b" x="0" y="252" style="fill: red"/>\n</g>\n'
    assert compact(band + used, "one") == (
        '<g clip-path="url(#c)"><path d="M0 0l1 1" transform="translate(0 252)" style="fill:red"/></g>'
    )


def test_a_line_carries_its_marks() -> None:
    line = '<path d="M 0 0 \nL 1 0 \nL 2 1 \n" clip-path="url(#c)" style="stroke: red"/>\n'
    mark = '<defs>\n<path id="m" d="M 0 2 \nL 2 0 \n"/>\n</defs>\n'
    uses = "".join(f'<use xlink:href="#m" x="{x}" y="{y}"/>\n' for x, y in ((0, 0), (1, 0), (2, 1)))
    assert compact(f'{line}{mark}<g clip-path="url(#c)">\n{uses}</g>\n', "one") == (
        '<defs><path id="m" d="M0 2l2-2"/></defs>'
        '<marker id="one-0" markerUnits="userSpaceOnUse" overflow="visible"><use href="#m"/></marker>'
        '<path d="M0 0l1 0 1 1" clip-path="url(#c)" style="stroke:red;marker:url(#one-0)"/>'
    )
