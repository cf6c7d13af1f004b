"""A YAML file read strictly: every mistake is one line with the file and the line of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml

from qstar_pl.errors import UserError

NAME = re.compile(r"[a-z0-9][a-z0-9_.]*")
"""What may be part of a cell's name, and so of a folder's."""


@dataclass(frozen=True)
class Located:
    """A value with the place where it stands."""

    file: Path
    name: str
    """Keys that lead to it, joined by dots."""
    node: yaml.Node

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return int(self.node.start_mark.line) + 1

    def refuse(self, rule: str) -> NoReturn:
        """Raise a UserError "<file>:<line>: <name> must <rule>"."""
        raise UserError(f"{self.file}:{self.line}: {self.name} must {rule}")

    @property
    def value(self) -> Any:
        """The plain value."""
        return _construct(self.node)

    def fields(self, *known: str, required: Collection[str] = ()) -> dict[str, Located]:
        """Return a mapping with fixed keys.

        Raises:
            UserError: if it is none, has a key that is not known, or lacks one that is required.

        """
        found = self.entries()
        for key, one in found.items():
            if key not in known:
                near = get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UserError(
                    f"{one.file}:{one.line}: {one.name} is not known here{hint} (known: {', '.join(known)})"
                )
        if missing := [key for key in required if key not in found]:
            self.refuse(f"have {' and '.join(missing)}")
        return found

    def entries(self) -> dict[str, Located]:
        """Return a mapping with keys of the writer's choice, in their order.

        Raises:
            UserError: if it is none, or has a key twice.

        """
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"be a mapping, key: value on each line, got {self._shown()}")
        found = dict[str, Located]()
        for key, value in self.node.value:
            text = str(_construct(key))
            here = Located(self.file, f"{self.name}.{text}" if self.name else text, _placed(key, value))
            if text in found:
                here.refuse(f"be given once, first in line {found[text].line}")
            found[text] = here
        return found

    def named(self) -> dict[str, Located]:
        """Return `entries` whose keys are names of cells.

        Raises:
            UserError: if one cannot be part of a folder's name.

        """
        found = self.entries()
        for key, one in found.items():
            if NAME.fullmatch(key) is None:
                spelled = " (yes, no, on and off stand in quotes)" if key in ("True", "False", "None") else ""
                one.refuse(f"be a name of lower-case letters, digits, _ and .{spelled}")
        return found

    def text(self) -> str:
        """Return a text; raises UserError if it is none."""
        value = self.value
        if not isinstance(value, str) or not value.strip():
            self.refuse(f"be a text, got {self._shown()}")
        return " ".join(str(value).split())

    def integer(self, lowest: int) -> int:
        """Return a whole number from `lowest` on; 3_200 and 1e5 are none to YAML 1.1 readers, 3200 is."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            self.refuse(f"be a whole number of at least {lowest}, got {self._shown()}")
        return int(value)

    def number(self) -> float:
        """Return a positive number."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            self.refuse(f"be a positive number, got {self._shown()}")
        return float(value)

    def items(self) -> list[Located]:
        """Return the entries of a list; raises UserError if it is none."""
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse(f"be a list, got {self._shown()}")
        return [Located(self.file, self.name, one) for one in self.node.value]

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def _shown(self) -> str:
        kinds: Mapping[type, str] = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}
        return kinds.get(type(self.node)) or str(self.value) or "nothing"


def read_located(file: Path) -> Located:
    """Return a file's content.

    Raises:
        UserError: if it cannot be read, or is not YAML.

    """
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)  # nosec B506 - a safe loader
    except OSError as error:
        raise UserError(f"{file} must be readable: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file} must be a YAML file, got something that is not text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else str(file)
        raise UserError(f"{where} is not valid YAML: {getattr(error, 'problem', error)}") from error
    if node is None:
        raise UserError(f"{file} must describe an experiment, got nothing")
    return Located(file, "", node)


def _placed(key: yaml.Node, value: yaml.Node) -> yaml.Node:
    """Return a value that is said to stand where its key does: what is wrong is looked for there."""
    value.start_mark = key.start_mark
    return value


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except yaml.YAMLError as error:
        raise UserError(f"line {node.start_mark.line + 1} is not valid YAML: {error}") from error
