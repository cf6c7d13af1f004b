"""What a class calls its argument → what the user calls it: `value` is `model.sampler.alpha.value`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jsonargparse import Namespace

from qstar_pl.cli.errors import user_error
from qstar_pl.errors import NonFiniteError, UserError

_RULE = re.compile(r"(?P<name>[a-z]\w*)(?= must )")


@contextmanager
def located(**parts: Any) -> Iterator[None]:
    """Let a mistake that a class finds in its argument name the option.

    Args:
        **parts: parsed configurations by the name of their option: model, data.

    Raises:
        UserError: in place of the one in the block.

    """
    try:
        yield
    except NonFiniteError:
        raise
    except ValueError as error:
        told = user_error(error)
        whole = None if told is None else with_whole_name(told, parts)
        if whole is None or whole == told:
            raise
        raise UserError(whole) from error


def with_whole_name(message: str, parts: Mapping[str, Any]) -> str:
    """Return a message "<argument> must <rule>, got <value>" with the one option of this name and value.

    Where there is none, or several, the message stays as it is.
    """
    match = _RULE.match(message)
    if match is None:
        return message
    named = [(option, value) for option, value in _options("", parts) if option.rpartition(".")[2] == match["name"]]
    rest = message[match.end() :]
    found = {option for option, value in named if _is_told(value, rest)}
    return f"{found.pop()}{rest}" if len(found) == 1 else message


def _is_told(value: Any, message: str) -> bool:
    # Of a class or a list, the message gives no value by which it could be found.
    if isinstance(value, Namespace | Mapping | list):
        return False
    return re.search(rf"(?<![\w.-]){re.escape(str(value))}(?!\w)", message) is not None


def _options(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every option with its value, the outermost first."""
    if name:
        yield name, value
    if isinstance(value, list):
        for one in value:
            yield from _options(name, one)
    if not isinstance(value, Namespace | Mapping):
        return
    if "class_path" in value:
        value = value.get("init_args") or {}
    for key, one in vars(value).items() if isinstance(value, Namespace) else value.items():
        yield from _options(f"{name}.{key}" if name else str(key), one)
