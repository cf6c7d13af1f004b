"""The tests of a row of APPS, in the forms that its rows and those of its successors have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MAX_DIGITS = 1_000_000
"""Of a whole number in JSON."""


class UnusableTests(ValueError):  # noqa: N818 (a kind of row, to be counted, and not a mistake of the caller's)
    """The row is readable, and its tests cannot judge a program; the message says why, the same for all such rows."""


@dataclass(frozen=True)
class Cases:
    """What goes in and what must come out."""

    function: str | None
    """What is called; None: a program that reads standard input and prints."""
    inputs: Sequence[Any]
    """Texts, or lists of arguments for a function."""
    outputs: Sequence[Any]
    """As many: texts, or what the function returns."""


def apps_cases(input_output: Any) -> Cases:
    """Return the tests in a column `input_output`.

    Args:
        input_output: an object with "inputs", "outputs" and, for a function, "fn_name", or its JSON text. A list of
            inputs or outputs may itself be JSON text. A function's arguments are a list, or text with one JSON value a
            line; its result is then JSON text, too. A program's input is a text or a list of lines.

    Raises:
        UnusableTests: if there is none, or there is another number of outputs than of inputs.
        ValueError: if they are in another form.

    """
    cases = parsed_json(input_output) if input_output else None
    if not cases:
        raise UnusableTests("the problem has no tests")
    if not isinstance(cases, Mapping):
        raise ValueError(f"tests must be an object, got {type(cases).__name__}")
    inputs, outputs = (_list_of(cases, name) for name in ("inputs", "outputs"))
    if not inputs and not outputs:
        raise UnusableTests("the problem has no tests")
    if len(inputs) != len(outputs):
        raise UnusableTests("the tests have another number of outputs than of inputs")
    if not (name := cases.get("fn_name")):
        return Cases(None, [_text(one) for one in inputs], [_text(one) for one in outputs])
    pairs = [_call(*pair) for pair in zip(inputs, outputs, strict=True)]
    return Cases(str(name), [given for given, _ in pairs], [wanted for _, wanted in pairs])


def parsed_json(value: Any) -> Any:
    """Return what JSON text says, with whole numbers of any length; what is no text is returned as it is.

    Raises:
        ValueError: if it is not JSON, or nested too deeply.

    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_int=whole_number)
    except RecursionError as error:
        raise ValueError("JSON must not be nested so deeply") from error


def whole_number(digits: str) -> int:
    """Return the number of a text of digits: `int` takes no more than 4,300 of them.

    Raises:
        ValueError: if there are more than `MAX_DIGITS`.

    """
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number must have at most {MAX_DIGITS} digits, got {len(digits)}")
    # Decimal has no such limit, nor has int of a Decimal.
    return int(digits) if len(digits) < 4000 else int(Decimal(digits))


def _list_of(cases: Mapping[str, Any], name: str) -> list[Any]:
    if name not in cases:
        raise KeyError(name)
    value = cases[name]
    value = parsed_json(value) if isinstance(value, str) and value.strip() else value
    if value and not isinstance(value, list):
        raise ValueError(f"{name} must be a list, got {type(value).__name__}")
    return value or []


def _text(value: Any) -> str:
    """Return a text; some rows hold a list of lines instead."""
    return "\n".join(map(_word, value)) if isinstance(value, list) else _word(value)


def _word(value: Any) -> str:
    # `str` refuses long numbers.
    return str(Decimal(value)) if type(value) is int and abs(value) >= 10**4000 else str(value)


def _call(arguments: Any, result: Any) -> tuple[list[Any], Any]:
    """Return a function's arguments and result, also of rows that keep them as text."""
    if isinstance(arguments, list):
        return arguments, result
    if not isinstance(arguments, str):
        raise ValueError(f"inputs of a function must be lists of arguments, got {type(arguments).__name__}")
    given = [parsed_json(line) for line in arguments.splitlines() if line.strip()]
    try:
        return given, parsed_json(result)
    except ValueError:
        return given, result
