"""How the source is built, read and not imported: `python benchmarks/structure.py [--baseline CHECKOUT]`.

Lines and files, the longest file, imports that climb against `ORDER`, folders that import each other in a circle, the
longest chain of classes of our own, and how many comments there are. Beside another checkout, both are printed.
`tests/test_layout.py` forbids climbing and circles by the same functions.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "qstar_pl"
ORDER = (
    (
        "errors",
        "types",
        "checks",
        "describing",
        "files",
        "hashing",
        "locks",
        "on_demand",
        "renamed",
        "secrets",
        "spelling",
        "console",
        "figures",
        "run_folders",
        "qstar",
    ),
    ("callbacks",),
    ("quiet", "sandbox", "tiny_world", "optim", "checkpoints"),
    ("models",),
    ("rewards", "rollout"),
    ("data", "targets", "samplers", "integrations"),
    ("distributed", "training"),
    ("evaluation",),
    ("methods",),
    ("generation", "experiments", "planning", "theory", "publishing"),
    ("evaluating",),
    ("cli",),
    ("commands", "__main__"),
)
"""A part imports what stands on a line before its own, or on its own line as long as there is no circle."""
FORMER = {"execution": "sandbox", "commandline": "commands"}
"""Parts of older checkouts → where they stand."""
RANKS = {part: rank for rank, line in enumerate(ORDER) for part in line}
_DIRECTIVE = re.compile(r"#\s*(noqa|nosec|type:|pragma|!)")


def rank(part: str) -> int:
    """Return the line of `ORDER` on which a part stands; -1 for the package itself, which holds the version."""
    return -1 if part == "" else RANKS[FORMER.get(part, part)]


@dataclass(frozen=True)
class Module:
    """A file of the package."""

    name: str
    """Dotted; that of a package for its `__init__.py`."""
    path: Path
    is_package: bool

    @property
    def part(self) -> str:
        """The folder or file right below the package; "" for the package itself."""
        return part_of(self.name)

    @property
    def folder(self) -> str:
        """The package that it lies in, dotted."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @cached_property
    def text(self) -> str:
        """What the file holds."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed."""
        return ast.parse(self.text)

    def imports(self, *, everywhere: bool = True) -> Iterator[tuple[str, str | None]]:
        """Yield (module, name taken from it or None); without `everywhere` only imports at the file's top."""
        for node in ast.walk(self.tree) if everywhere else self.tree.body:
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = self.folder.split(".")
                base = ".".join(above[: len(above) - node.level + 1]) if node.level else ""
                module = ".".join(piece for piece in (base, node.module) if piece)
                yield from ((module, alias.name) for alias in node.names)


def part_of(dotted: str) -> str:
    """Return the part that a dotted name of the package lies in."""
    return dotted.split(".")[1] if "." in dotted else ""


class Source:
    """The package as a checkout has it."""

    def __init__(self, checkout: Path) -> None:
        self.root = checkout / "src" / NAME
        # rglob does not follow the link to callbacks/.
        files = sorted({*self.root.rglob("*.py"), *(self.root / "callbacks").rglob("*.py")})
        self.modules = {module.name: module for module in map(self._module, files)}

    def _module(self, path: Path) -> Module:
        words = path.relative_to(self.root.parent).with_suffix("").parts
        is_package = words[-1] == "__init__"
        return Module(".".join(words[:-1] if is_package else words), path, is_package)

    def origin(self, module: str, name: str | None, within: frozenset[tuple[str, str]] = frozenset()) -> str:
        """Return the module that defines what is imported: packages re-export what their modules define."""
        if name is None:
            return module
        if f"{module}.{name}" in self.modules:
            return f"{module}.{name}"
        source = self.modules.get(module)
        if source is not None and source.is_package and (module, name) not in within:
            for there, its_name in source.imports(everywhere=False):
                if its_name == name and there.partition(".")[0] == NAME:
                    return self.origin(there, name, within | {(module, name)})
        return module

    @cache  # noqa: B019 - a source lives as long as the process
    def own_imports(self, module: Module) -> set[str]:
        """Return the modules of this package that a module imports, each where it is defined."""
        found = {self.origin(*one) for one in module.imports() if one[0].partition(".")[0] == NAME}
        return found - {module.name}

    def climbing(self) -> list[tuple[str, str]]:
        """Return (module, imported module) of imports that go up in `ORDER`."""
        pairs = ((one, other) for one in self.modules.values() for other in sorted(self.own_imports(one)))
        return [(one.name, other) for one, other in pairs if rank(part_of(other)) > rank(one.part)]

    def folder_circles(self) -> list[list[str]]:
        """Return the groups of folders that import each other.

        A file right below the package is a folder of its own here. What a folder's own folders import of it, and it of
        them, is no circle; nor do packages count that re-export.
        """
        edges: dict[str, set[str]] = {}
        for module in self.modules.values():
            if not module.is_package:
                here = self._place(module.name)
                there = {self._place(other) for other in self.own_imports(module)}
                edges.setdefault(here, set()).update(one for one in there if not _within(one, here))
        return circles(edges)

    def _place(self, name: str) -> str:
        module = self.modules.get(name)
        return name if module is None or module.folder == NAME else module.folder

    def longest_chain(self) -> list[str]:
        """Return the longest line of inheritance among classes of this package, the class first."""
        bases: dict[str, list[str]] = {}
        for module in self.modules.values():
            known = {name: self.origin(there, name) for there, name in module.imports() if name is not None}
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    names = [ast.unparse(base).partition("[")[0] for base in node.bases]
                    bases[f"{module.name}.{node.name}"] = [f"{known.get(name, module.name)}.{name}" for name in names]

        def line(name: str) -> list[str]:
            return [name, *max((line(base) for base in bases[name] if base in bases), key=len, default=[])]

        return max(map(line, bases), key=len)

    def comments(self) -> dict[str, float]:
        """Return how many comments a part has in a hundred lines of code; directives to tools do not count."""
        said: Counter[str] = Counter()
        code: Counter[str] = Counter()
        for module in self.modules.values():
            tokens = list(tokenize.generate_tokens(io.StringIO(module.text).readline))
            where = module.part or NAME
            said[where] += sum(one.type == tokenize.COMMENT and not _DIRECTIVE.match(one.string) for one in tokens)
            code[where] += len({one.start[0] for one in tokens if one.type in (tokenize.NAME, tokenize.OP)})
        total = {"all": 100 * said.total() / code.total()}
        return total | {part: 100 * said[part] / code[part] for part in sorted(code) if code[part]}

    def figures(self) -> dict[str, str]:
        """Return what is printed, by its name."""
        lines = {module.name: module.text.count("\n") for module in self.modules.values()}
        longest = max(lines, key=lambda name: lines[name])
        chain = [name.rpartition(".")[2] for name in self.longest_chain()]
        rounds = self.folder_circles()
        return {
            "files": f"{len(lines)}",
            "lines": f"{sum(lines.values())}",
            "files of more than 300 lines": f"{sum(count > 300 for count in lines.values())}",
            "longest file": f"{longest.removeprefix(NAME + '.')}, {lines[longest]} lines",
            "imports that climb": f"{len(self.climbing())}",
            "circles of folders": f"{len(rounds)}"
            + "".join(f"; {', '.join(one)}" for one in rounds).replace(f"{NAME}.", ""),
            "longest chain of classes": f"{len(chain)}: {' < '.join(chain)}",
        }


def _within(one: str, other: str) -> bool:
    """Return whether one of two folders lies in the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the sets of nodes that reach each other, of two nodes or more."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = set(edges.get(ahead.pop(), ())) - seen
            seen |= new
            ahead += new
        return seen

    reach = {node: reached(node) for node in edges}
    groups = {frozenset(other for other in reach if other in reach[node] and node in reach[other]) for node in reach}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", type=Path, help="another checkout, which is printed first")
    parser.add_argument("--list", action="store_true", help="also name the imports that climb")
    given = parser.parse_args()
    checkouts = [*([given.baseline] if given.baseline else []), REPOSITORY]
    sources = [Source(checkout) for checkout in checkouts]
    figures = [source.figures() for source in sources]
    for name in figures[0]:
        print(f"{name:<30}", " | ".join(one[name] for one in figures))
    comments = [source.comments() for source in sources]
    print("comments in a hundred lines of code:")
    for part in dict.fromkeys(part for one in comments for part in one):
        print(f"  {part:<28}", " | ".join(f"{one[part]:.1f}" if part in one else "-" for one in comments))
    if given.list:
        for one, other in sources[-1].climbing():
            print(f"{one} imports {other}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
