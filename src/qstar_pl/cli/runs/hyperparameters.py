"""The configuration of a run as a flat table of plain values, by which loggers can filter runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qstar_pl.secrets import HIDDEN, is_secret, without_secrets

Plain = bool | int | float | str | None


def flat(config: Mapping[str, Any]) -> dict[str, Plain]:
    """Return a configuration with dotted names for nested options, as on the command line.

    A class is given by its short name under its own key, and its arguments below it: `model.sampler.alpha` is
    "KLSymmetricAlpha" and `model.sampler.alpha.tol` its tolerance. Classes in a list are told apart by their names
    (`trainer.callbacks.Guards.action`); a list of plain values is written as one text. Secrets are hidden: loggers send
    what they get to others.

    Args:
        config: as plain containers.

    """
    found: dict[str, Plain] = {}
    for key, value in _walk("", config):
        number = 2  # of the second among equal keys, e.g. two callbacks of one class
        unique = key
        while unique in found:
            unique, number = f"{key}.{number}", number + 1
        found[unique] = _hidden(key, value) if isinstance(value, str) else value
    return found


def _hidden(key: str, text: str) -> str:
    return HIDDEN if is_secret(key) else without_secrets(text)


def _walk(key: str, value: Any) -> Iterator[tuple[str, Plain]]:
    match value:
        case {"class_path": str(path)}:
            yield key, path.rpartition(".")[2]
            for part in ("init_args", "dict_kwargs"):
                yield from _walk(key, value.get(part) or {})
        case Mapping():
            for name, item in value.items():
                yield from _walk(f"{key}.{name}" if key else str(name), item)
        case list() | tuple() if any(isinstance(item, (Mapping, list, tuple)) for item in value):
            yield from _walk_list(key, value)
        case None | bool() | int() | float() | str():
            yield key, value
        case _:
            yield key, str(value)


def _walk_list(key: str, items: Sequence[Any]) -> Iterator[tuple[str, Plain]]:
    for number, item in enumerate(items):
        name = number
        if isinstance(item, Mapping) and isinstance(item.get("class_path"), str):
            name = item["class_path"].rpartition(".")[2]
        yield from _walk(f"{key}.{name}", item)
