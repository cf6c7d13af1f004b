"""Where classes of earlier versions are now, for configurations that name them by their paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MOVED: Mapping[str, str] = {
    "qstar_pl.data.filters": "qstar_pl.data.selection.filters",
    "qstar_pl.data.length_filter": "qstar_pl.data.selection.length_filter",
    "qstar_pl.data.range_filter": "qstar_pl.data.selection.range_filter",
    "qstar_pl.data.renderings": "qstar_pl.data.text.rendering",
    "qstar_pl.data.reward_margin_filter": "qstar_pl.data.selection.reward_margin_filter",
    "qstar_pl.execution": "qstar_pl.sandbox",
    "qstar_pl.methods.beta_head": "qstar_pl.methods.strategies.beta_head",
    "qstar_pl.methods.beta_objective": "qstar_pl.methods.strategies.beta_objective",
    "qstar_pl.methods.keep": "qstar_pl.methods.strategies.keep",
    "qstar_pl.methods.kl_controller": "qstar_pl.methods.strategies.kl_controller",
    "qstar_pl.methods.non_finite": "qstar_pl.training.non_finite",
}
"""How a path began → how it begins now. Whole parts of a path are compared, and the longest match counts."""
# A class path of this package by itself, not a part of a longer name or of a file's path.
_CLASS = re.compile(r"(?<![\w./-])qstar_pl(?:\.[a-z_]\w*)+\.[A-Z]\w*(?![\w./-])")


def current(path: str) -> str:
    """Return where the class at a dotted path is now; the path itself if it has not moved."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        if (new := MOVED.get(".".join(parts[:length]))) is not None:
            return ".".join([new, *parts[length:]])
    return path


def in_text(text: str, rename: Callable[[str, str], str] = lambda _, new: new) -> str:
    """Return a word of a command line with the class paths in it as they are now.

    Args:
        text: may be a path alone, an option with a path, or JSON.
        rename: called with the old and the new path of each class that has moved; returns what to write.

    """

    def replaced(match: re.Match[str]) -> str:
        old, new = match[0], current(match[0])
        return old if old == new else rename(old, new)

    return _CLASS.sub(replaced, text)


def in_config(config: Any, rename: Callable[[str, str], str] = lambda _, new: new) -> Any:
    """Return a configuration of plain containers with the class paths in it as they are now; see `in_text`."""
    if isinstance(config, Mapping):
        return {key: in_config(value, rename) for key, value in config.items()}
    if isinstance(config, list):
        return [in_config(value, rename) for value in config]
    if isinstance(config, str) and _CLASS.fullmatch(config):
        return in_text(config, rename)
    return config
