"""The date that chat templates write: the same for a whole run, and for runs that resume it."""

from __future__ import annotations

import os
from datetime import date
from typing import Any

from qstar_pl.errors import UserError

VARIABLE = "QSTAR_DATE"
"""Environment variable, so that processes of one run that are started on either side of midnight agree."""


def run_date() -> date:
    """Return the run's date, today's on the first call unless it was set.

    Raises:
        UserError: if the environment holds something else.

    """
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = date.today().isoformat()
    return parse_date(os.environ[VARIABLE])


def set_run_date(day: str | None) -> date:
    """Begin a run with a date (YYYY-MM-DD), or with today's; return it.

    Raises:
        UserError: if it is no date.

    """
    os.environ[VARIABLE] = (date.today() if day is None else parse_date(day)).isoformat()
    return run_date()


def begin_run(day: str | None) -> date:
    """Set the date of a run that begins, as `set_run_date` does; a launched process keeps its launcher's date."""
    inherited = os.environ.get(VARIABLE) if "LOCAL_RANK" in os.environ else None
    return set_run_date(day or inherited)


def parse_date(text: str) -> date:
    """Return the date that YYYY-MM-DD stands for; raises UserError for another text."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"date must be a day as YYYY-MM-DD, got {text!r}") from error


def dated(chat_template: str) -> tuple[str, dict[str, Any]]:
    """Return a chat template whose `strftime_now` tells the run's date (at midnight), and the variables that it needs.

    transformers gives templates a clock and no way to set it; a macro of the same name takes its place.
    """
    if CLOCK not in chat_template:
        return chat_template, {}
    return _MACRO + chat_template, {"qstar_date": {form: run_date().strftime(form) for form in _DIRECTIVES}}


CLOCK = "strftime_now"
"""The function that templates call for the date."""
_DIRECTIVES = tuple(f"%{flag}{letter}" for flag in ("", "-") for letter in "aAbBdHIjmMpSUwWyYcxXe")
# The empty expression at the end keeps trim_blocks from eating a newline with which the template begins.
_MACRO = (
    "{% macro strftime_now(form) %}{% set said = namespace(text=form) %}{% for directive, text in qstar_date.items() %}"
    "{% set said.text = said.text | replace(directive, text) %}{% endfor %}{{ said.text }}{% endmacro %}{{ '' }}"
)
