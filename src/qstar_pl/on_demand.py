"""Names of a package that are loaded when the first of them is asked for."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def on_demand(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that also gives the names of its module `public`.

    Whoever needs other parts of the package does not load what that module brings, such as torch.

    Args:
        package: the package's `__name__`.
        file: its `__file__`; `public.py` beside it does nothing but re-export.

    """

    @cache
    def names() -> frozenset[str]:
        # Read as text, since parsers ask packages for names of all kinds, and most of them are not here.
        body = ast.parse(Path(file).with_name("public.py").read_text(encoding="utf-8")).body
        return frozenset(alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names)

    def get(name: str) -> Any:
        if name not in names():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.public"), name)

    def listed() -> list[str]:
        return sorted({*vars(import_module(package)), *names()})

    return get, listed
