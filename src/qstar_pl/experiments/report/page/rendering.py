"""From contents to one file of HTML."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from qstar_pl.experiments.report.page.contents import Page

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TIMES_BEGIN, TIMES_END = "<!-- times: what follows differs from run to run -->", "<!-- times: end -->"
_TIMES = re.compile(f"{re.escape(TIMES_BEGIN)}.*?{re.escape(TIMES_END)}", re.DOTALL)


def rendered(page: Page) -> str:
    """Return the page; nothing in it asks for another file."""
    return _environment().get_template("page.html").render(page=page, begin=TIMES_BEGIN, end=TIMES_END)


def without_times(html: str) -> str:
    """Return a page without its sections on time: the same, byte for byte, for two runs of the same."""
    return _TIMES.sub("", html)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["coded"] = coded
    return made


def coded(text: str) -> Markup:
    """Return a text as HTML: what stands between backquotes is code."""
    from markupsafe import Markup, escape

    parts = str(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )
