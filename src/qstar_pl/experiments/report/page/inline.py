"""An SVG file of a figure as part of a page: in the page's colors, no identifier twice, described in words."""

from __future__ import annotations

import re
from html import escape

from qstar_pl.experiments.report.figures.panel import INK, MUTED
from qstar_pl.experiments.report.page.compact import compact
from qstar_pl.figures.style import COLORS

_VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--reference)",
    "#ffffff": "var(--paper)",
    **{color.lower(): f"var(--line-{number})" for number, color in enumerate(COLORS)},
}
_COLOR = re.compile(r"#[0-9a-f]{6}\b")
_BODY = re.compile(r"<svg\b[^>]*?\bviewBox=\"(?P<box>[^\"]*)\"[^>]*>(?P<body>.*)</svg>", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_BACKGROUND = re.compile(r"\s*<g id=\"patch_1\">.*?</g>", re.DOTALL)
_DEFINED = re.compile(r'\bid="(?P<id>[^"]+)"')
_NAMED = re.compile(r"(?:url\(#|href=\"#)(?P<id>[^\")]+)")
_FONT = re.compile(r"font-family:[^;\"]*;")
_RULES = re.compile(r"\s*<defs>\s*<style\b.*?</style>\s*</defs>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_LONG = re.compile(r"(\d\.\d\d)\d+")
_TEXT = "font-size:8px;text-anchor:{};fill:currentColor"
CLASSES = {
    "fill:none;stroke:var(--reference);stroke-opacity:0.25;stroke-width:0.8;stroke-linecap:square": "grid",
    "fill:currentColor;stroke:currentColor;stroke-width:0.8": "tick",
    **{_TEXT.format(side): f"text-{side}" for side in ("start", "middle", "end")},
}
"""Looks that every figure has many times → their names in the page's style sheet."""
_LOOK = re.compile(r'\bstyle="(?P<look>[^"]*)"')


def inline(svg: str, name: str, alt: str) -> str:
    """Return the figure for a page.

    Args:
        svg: a file's text, as matplotlib writes it.
        name: begins all identifiers; no other figure on the page may have it.
        alt: what the figure shows.

    """
    found = _BODY.search(svg)
    assert found is not None, "matplotlib writes one svg element with a viewBox"
    body = _BACKGROUND.sub("", _RULES.sub("", _METADATA.sub("", found["body"])), count=1)
    short = {one: f"{name}-{place}" for place, one in enumerate(dict.fromkeys(_NAMED.findall(body)))}
    body = _DEFINED.sub(lambda one: f'id="{short[one["id"]]}"' if one["id"] in short else "", body)
    body = _NAMED.sub(lambda one: one[0].replace(f"#{one['id']}", f"#{short[one['id']]}"), body)
    # The page's own font, and hundredths of a point where matplotlib writes millionths.
    body = _TAG.sub(lambda one: _LONG.sub(r"\1", _FONT.sub("", one[0])), compact(body, f"{name}-m"))
    body = _COLOR.sub(lambda one: _VARIABLES.get(one[0], one[0]), body)
    body = _LOOK.sub(lambda one: f'class="{CLASSES[one["look"]]}"' if one["look"] in CLASSES else one[0], body)
    head = f'<svg class="figure" viewBox="{found["box"]}" role="img" aria-labelledby="{name}-title">'
    return f'{head}<title id="{name}-title">{escape(alt)}</title>{body.strip()}</svg>'
