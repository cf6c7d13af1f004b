"""Pages of the API: one for each public package, with all that its `__init__.py` gives; nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from pages import REPOSITORY

SOURCE = REPOSITORY / "src" / "qstar_pl"
PACKAGES = {
    "qstar": "mixtures, α, ESS: pure functions of tensors",
    "qstar.weights": "treatments of the importance weights",
    "qstar.advantages": "advantages of answers and tokens",
    "qstar.losses": "losses",
    "qstar.kl_estimators": "estimators of D(π_θ‖π_init)",
    "samplers": "q, what answers are drawn from",
    "rollout": "laws of the next token, and the loop that draws it",
    "targets": "π_t, the behavior we want",
    "rewards": "what an answer is worth",
    "methods": "what is trained",
    "models": "where models come from",
    "data": "datasets, adapters, filters, the data module",
    "callbacks": "diagnostics",
    "evaluation.metrics": "what `validate`, `test` and `qstar evaluate` report",
    "evaluation.judges": "which of two answers is better",
    "evaluation.statistics": "how sure a number is",
    "evaluation.win_rates": "win rates and ratings from preferences",
    "generation": "datasets of answers",
    "integrations.transformers": "q* in Hugging Face's `generate`",
    "integrations.vllm": "q* inside vLLM",
    "optim": "optimizers and schedules",
    "distributed": "the strategy fsdp2",
    "types": "what the stages of a step hand on",
    "errors": "errors that say what must change",
}
"""Below `qstar_pl` → what is there."""
_ROW = re.compile(r"^ {4}(\w+)(?: {2,}(.*))?$")


@dataclass(frozen=True)
class Package:
    """A public package or module."""

    name: str
    """Below `qstar_pl`."""
    docstring: str
    members: tuple[str, ...]
    """What it gives by name."""

    @property
    def place(self) -> PurePosixPath:
        """Of its page."""
        return PurePosixPath("api", f"{self.name}.md")

    def page(self) -> str:
        """Return its page."""
        whole = f"qstar_pl.{self.name}"
        lines = [f"# {whole}", "", overview(self.docstring, whole, self.members), ""]
        return "\n".join([*lines, *(f"::: {whole}.{member}\n" for member in self.members)])


def packages() -> list[Package]:
    """Return all that have a page, in order."""
    return [_read(name) for name in PACKAGES]


def index() -> str:
    """Return the page that lists them."""
    rows = [f"| [qstar_pl.{name}]({name}.md) | {text} |" for name, text in PACKAGES.items()]
    head = [
        "# API",
        "",
        "All that the packages give by name, from their docstrings.",
        "",
        "| module | what is there |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def overview(docstring: str, package: str, members: tuple[str, ...]) -> str:
    """Return a module's docstring with its lists of names as tables, whose names lead to their sections."""
    written: list[str] = []
    in_table = False
    for line in docstring.splitlines():
        match = _ROW.match(line)
        if match:
            if not in_table:
                written += ["", "| name | |", "|---|---|"]
            name = f"[`{match[1]}`](#{package}.{match[1]})" if match[1] in members else f"`{match[1]}`"
            written.append(f"| {name} | {(match[2] or '').replace('|', chr(92) + '|')} |")
        else:
            written.append(line if line.strip() or not in_table else "")
        in_table = match is not None
    return "\n".join(written).replace("<", "&lt;")


def _read(name: str) -> Package:
    path = SOURCE.joinpath(*name.split("."))
    file = _file(path)
    tree = _tree(file)
    members = list(_given(file)) if path.is_dir() else _defined(tree)
    if path.is_dir() and (public := path / "public.py").is_file():
        members += _given(public)
    return Package(name, ast.get_docstring(tree) or "", tuple(dict.fromkeys(members)))


def _given(file: Path) -> Iterator[str]:
    """Yield the classes and functions that a package gives again: `from … import name as name`."""
    for node in _tree(file).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        elif (node.module or "").startswith(f"{SOURCE.name}."):
            folder = SOURCE.parent.joinpath(*(node.module or "").split("."))
        else:
            continue
        for alias in node.names:
            if alias.asname == alias.name and alias.name in {*_defined(_tree(_file(folder))), *_given(_file(folder))}:
                yield alias.name


def _file(path: Path) -> Path:
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _defined(tree: ast.Module) -> list[str]:
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
