"""What a text is as a Python program, judged by its syntax tree; nothing is run."""

from __future__ import annotations

import ast
import builtins
import textwrap
import warnings
from dataclasses import dataclass
from functools import cached_property

MAX_TEXT = 65_536
"""Characters; longer texts are not looked into."""
_KNOWN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__annotations__"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PASSIVE = (*_DEFINITIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)
_INPUT = frozenset({"input", "raw_input", "stdin", "open", "fileinput"})


@dataclass(frozen=True)
class Program:
    """A text that parses, and what it does."""

    text: str
    tree: ast.Module

    @cached_property
    def bound(self) -> frozenset[str]:
        """Names that are assigned, defined, imported or taken as an argument anywhere in it; "*" for a star import."""
        names: set[str] = set()
        for node in ast.walk(self.tree):
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    names.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.alias(name=name, asname=other):
                    names.add(other or name.partition(".")[0])
                case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                    names.add(name)
                case ast.MatchMapping(rest=str(name)):
                    names.add(name)
        return frozenset(names)

    @property
    def makes(self) -> frozenset[str]:
        """Names that its own statements, not those inside of them, define, assign or import."""
        names: set[str] = set()
        for node in self.tree.body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
                case ast.Assign() | ast.AnnAssign():
                    stored = (part for part in ast.walk(node) if isinstance(part, ast.Name))
                    names |= {part.id for part in stored if isinstance(part.ctx, ast.Store)}
        return frozenset(names)

    @cached_property
    def used(self) -> frozenset[str]:
        """Names that are read."""
        loads = (node for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        return frozenset(node.id for node in loads if isinstance(node.ctx, ast.Load))

    @property
    def missing(self) -> frozenset[str]:
        """Names that are read, and neither bound here nor built in; none where a star import may bring them."""
        return frozenset() if "*" in self.bound else self.used - self.bound - _KNOWN

    @property
    def acts(self) -> bool:
        """Whether running it does something: it has a call that is not in a definition's body."""
        top = [node for node in self.tree.body if not isinstance(node, _PASSIVE)]
        calls = any(isinstance(part, ast.Call | ast.Delete) for node in top for part in ast.walk(node))
        return calls or any(isinstance(node, ast.For | ast.While | ast.With | ast.If | ast.Return) for node in top)

    @property
    def reads_input(self) -> bool:
        """Whether it names something that reads standard input."""
        attributes = {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}
        return bool((self.used | attributes | self.bound) & _INPUT)

    def definition(self, name: str) -> ast.stmt | None:
        """Return the last statement that makes the function `name`: a def, an assignment, or a method of a class."""
        found: ast.stmt | None = None
        for node in self.tree.body:
            if _makes(node, name):
                found = node
            elif isinstance(node, ast.ClassDef):
                found = next((part for part in node.body if _makes(part, name)), found)
        return found

    def defines(self, name: str) -> bool:
        """Return whether it makes a function of that name which has a body."""
        made = self.definition(name)
        return made is not None and not (isinstance(made, _DEFINITIONS) and _is_stub(made))


def parsed(text: str) -> Program | None:
    """Return a text as a program, None if it does not parse; a text that is indented as a whole loses its margin.

    `return` outside a function passes here, as in a script that was written as a function's body.
    """
    if len(text) > MAX_TEXT or not text.strip():
        return None
    for candidate in dict.fromkeys((text, textwrap.dedent(text), tidied(text))):
        if (tree := _tree(candidate)) is not None:
            return Program(candidate, tree)
    return None


def parses(text: str) -> bool:
    """Return whether a text is a program as it stands."""
    return len(text) <= MAX_TEXT and _tree(text) is not None


def _tree(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in a stranger's text are no news
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def tidied(text: str) -> str:
    """Return a text with plain spaces for tabs at the margin and for spaces that do not break, and without a margin."""
    lines = text.replace("\u00a0", " ").replace("\u200b", "").split("\n")
    lines = [line[: len(line) - len(line.lstrip())].expandtabs(4) + line.lstrip() for line in lines]
    return textwrap.dedent("\n".join(lines))


def longest_start(lines: list[str]) -> int:
    """Return how many of the first lines are a program; 0 for none. What follows a program may be prose."""
    size = len(lines)
    if sum(map(len, lines)) > MAX_TEXT:
        return 0
    for _ in range(20):
        if not size:
            break
        text = textwrap.dedent("\n".join(lines[:size]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        except SyntaxError as error:  # cut before the line at which the parser gives up, which may lie behind the fault
            size = min(size - 1, max((error.lineno or size) - 1, 0))
        except (ValueError, RecursionError, MemoryError):
            return 0
        else:
            return size
    return 0


def without_prose(program: Program) -> Program:
    """Return a program without the statements at its end that read names which nothing defines: prose that parses."""
    body = list(program.tree.body)
    while len(body) > 1 and isinstance(body[-1], ast.Expr | ast.AnnAssign):
        last = body[-1]  # "Complexity: linear" parses, as an annotation without a value
        names = {node.id for node in ast.walk(last) if isinstance(node, ast.Name)}
        if not (names & program.missing or (isinstance(last, ast.AnnAssign) and last.value is None)):
            break
        body.pop()
    if len(body) == len(program.tree.body):
        return program
    text = "\n".join(program.text.split("\n")[: body[-1].end_lineno])
    return parsed(text) or program


def _makes(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.FunctionDef(name=made) | ast.AsyncFunctionDef(name=made):
            return made == name
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Name) and target.id == name for target in targets)
        case ast.AnnAssign(target=ast.Name(id=made), value=value):
            return made == name and value is not None
        case ast.ImportFrom(names=names):
            return any((alias.asname or alias.name) == name for alias in names)
    return False


def _is_stub(function: ast.stmt) -> bool:
    """Return whether a function has nothing in it: a docstring, `pass`, `...`, or an error that it is not written."""
    assert isinstance(function, _DEFINITIONS)
    for node in function.body:
        match node:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
                continue
        return False
    return True
