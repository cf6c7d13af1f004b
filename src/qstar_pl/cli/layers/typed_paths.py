"""Class paths of earlier versions in what the user gives: they still work, and a note names the new path."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from qstar_pl import renamed


class TypedPaths:
    """Brings the class paths of one command line, and of the YAML that it names, up to date."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def words(self, words: Sequence[str]) -> list[str]:
        """Return the words of a command line with every class path as it is today."""
        return [renamed.in_text(word, self._say) for word in words]

    @contextmanager
    def in_yaml(self) -> Iterator[None]:
        """Let the parser read every class path in YAML as it is today, also in files that other files name."""
        # The loader is a global setting of jsonargparse, so it is put back afterwards.
        load = get_loader("yaml")

        def load_current(text: str) -> Any:
            return renamed.in_config(load(text), self._say)

        set_loader("yaml", load_current, (yaml.YAMLError,))
        try:
            yield
        finally:
            set_loader("yaml", load, (yaml.YAMLError,))

    def _say(self, old: str, new: str) -> str:
        if old not in self._said and os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"note: {old} is called {new} now", file=sys.stderr)
        self._said.add(old)
        return new
