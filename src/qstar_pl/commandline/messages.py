"""jsonargparse explains a mistake in many nested lines; the user needs which option, what is wrong, what is near."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_KEY = re.compile(r'^Parser key "(?P<key>[^"]+)":\s*(?P<rest>.*)$')
_CLASS = re.compile(r"^Problem with given class_path '(?P<path>[^']+)':$")
_NO_OPTION = re.compile(r"^(?:Option|Key) '(?P<name>[^']+)' is not (?:accepted|expected)")
_VALUE = re.compile(r"^Expected an? (?P<what>.+?)\. Got value: (?P<value>.*)$")
_NO_FILE = re.compile(r"^Expected a path but (?P<value>.*) either not accessible or invalid")
_NO_CLASS = re.compile(
    r"(Expected a dot import path string|Unexpected import path format|does not correspond to a subclass"
    r"|has no attribute|No module named|Not a valid subclass)"
)
_LITERAL = re.compile(r"^Expected a typing\.Literal\[(?P<choices>.*?)\]")
_NO_KEY = re.compile(r"^Subcommand '[^']+' does not accept option '(?P<name>[^']+)'")
_UNKNOWN = re.compile(r"^[Uu]nrecognized arguments: (?P<words>.*)$")
# What frames the leaves and says nothing by itself.
_FRAME = re.compile(
    r"^(Does not validate against any|Subtypes:|Errors:|Given value|Subclass types expect|Expected a <class 'NoneType'>"
    r"|a class path|a dict with|Expected a path but )"
)


# One way to read a value that has others: it says something only if they say nothing.
_WEAK = re.compile(r"^Expected a <class 'str'>$")


@dataclass(frozen=True)
class _Mistake:
    """What could be read from a message."""

    keys: tuple[str, ...]
    """From the outermost option to the innermost."""
    classes: tuple[str, ...]
    """Class paths that were understood on the way."""
    leaf: str
    missing_file: str | None
    given: str | None

    @property
    def option(self) -> str:
        return "--" + ".".join(self.keys) if self.keys else ""


def essence(message: str, options: Iterable[str] = ()) -> str:
    """Return one line that says what `message` of jsonargparse is about.

    Args:
        message: jsonargparse's own, of any number of lines.
        options: names of the parser's options, to suggest one for a misspelt one.

    """
    mistake = _read(message)
    if match := _UNKNOWN.match(mistake.leaf):
        return _unknown_option(match["words"].split()[0], options)
    if match := _NO_KEY.match(mistake.leaf):
        return _unknown_option(f"--{match['name'].partition('.')[0]}", options)
    where = f"{mistake.option}: " if mistake.option else ""
    if match := _NO_OPTION.match(mistake.leaf):
        name, owner = match["name"], mistake.classes[-1].rpartition(".")[2] if mistake.classes else ""
        known = sorted(_parameters(mistake.classes[-1])) if mistake.classes else list(options)
        at = f"{mistake.option}.{name}" if mistake.option else name
        return f"{at}: {owner or 'the command'} has no such option{_near(name, known)}"
    if match := _VALUE.match(mistake.leaf):
        return f"{where}expected {_plain(match['what'])}, got {match['value']}"
    if _NO_CLASS.search(mistake.leaf) or (mistake.missing_file and not mistake.leaf):
        return _no_class_or_file(mistake, where)
    if _LITERAL.match(mistake.leaf):
        choices = re.findall(r"Expected a typing\.Literal\[(.*?)\]", message)
        return f"{where}must be one of {', '.join(dict.fromkeys(choices))}, got {mistake.given}"
    return f"{where}{mistake.leaf}"


def _read(message: str) -> _Mistake:
    keys: list[str] = []
    classes: list[str] = []
    leaf, weak, missing, given = "", "", None, None
    for raw in message.splitlines():
        line = raw.strip().removeprefix("- ")
        if match := _KEY.match(line):
            keys.append(match["key"])
            line = match["rest"]
        if match := _CLASS.match(line):
            classes.append(match["path"])
        elif match := _NO_FILE.match(line):
            missing = match["value"]
        elif line.startswith("Given value: "):
            given = line.removeprefix("Given value: ")
        elif _WEAK.match(line):
            weak = weak or line
        elif line and not leaf and not _FRAME.match(line):
            leaf = line
        elif leaf.startswith("Problems parsing config") and line and not line.startswith("Given"):
            leaf += f" {line}"
    return _Mistake(tuple(keys), tuple(classes), leaf or weak, missing, given)


def _unknown_option(word: str, options: Iterable[str]) -> str:
    name = word.split("=", 1)[0]
    if not name.startswith("-"):
        return f"unexpected word {name}"
    return f"unknown option {name}{_near(name, [f'--{option}' for option in options])}"


def _no_class_or_file(mistake: _Mistake, where: str) -> str:
    unresolved = mistake.missing_file
    if unresolved is None:
        match = re.search(r"(?:path string|path format): (\S+)", mistake.leaf)
        unresolved = match[1] if match else (mistake.classes[-1] if mistake.classes else mistake.given or "")
    if mistake.keys[-1:] == ("config",) or re.search(r"[/\\]|\.(ya?ml|json)$", unresolved):
        return f"{where}no such file: {unresolved}"
    # A class path that failed to import is no owner of the option it was given for.
    owners = tuple(path for path in mistake.classes if path != unresolved)
    known = sorted({cls.__name__ for base in _expected(mistake.keys, owners) for cls in _leaves(base)})
    if "does not correspond to a subclass" in mistake.leaf:
        wanted = mistake.leaf.rpartition(" of ")[2]
        return f"{where}{unresolved} is not a {wanted}{_near(unresolved, known)}"
    return f"{where}unknown class {unresolved}{_near(unresolved, known)}"


def _near(name: str, known: list[str]) -> str:
    """Return "; did you mean …?", or the whole list where it is short, or nothing."""
    stem = name.lstrip("-").rpartition(".")[2].lower()
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    close += [item for item in known if len(stem) > 2 and stem in item.lower() and item not in close][:3]
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; known: {', '.join(known)}" if known and len(known) <= 24 else ""


def _plain(what: str) -> str:
    return re.sub(r"<class '([^']+)'>", r"\1", what)


def _import(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return None


def _parameters(path: str) -> dict[str, Any]:
    """Return the arguments of a class with their types, through the `**kwargs` of its bases."""
    cls, found = _import(path), {}
    for base in reversed(inspect.getmro(cls) if inspect.isclass(cls) else ()):
        if "__init__" not in vars(base) or base is object:
            continue
        try:
            hints = typing.get_type_hints(vars(base)["__init__"])
        except (NameError, TypeError):
            continue
        named = inspect.signature(vars(base)["__init__"]).parameters.values()
        found.update({p.name: hints.get(p.name) for p in named if p.name != "self" and p.kind != p.VAR_KEYWORD})
    return {name: hint for name, hint in found.items() if name != "args"}


def _expected(keys: tuple[str, ...], classes: tuple[str, ...]) -> list[type]:
    """Return the classes that the innermost option accepts."""
    if not keys:
        return []
    root, _, rest = keys[0].partition(".")
    owner = {
        "trainer": "lightning.pytorch.Trainer",
        "model": "qstar_pl.methods.RLHFModule",
        "data": "qstar_pl.data.RLHFDataModule",
        "adapter": "qstar_pl.data.RowSource",
    }.get(root)
    if classes and len(keys) > 1:
        hint = _parameters(classes[-1]).get(keys[-1])
    elif rest and owner:
        hint = _parameters(owner).get(rest)
    else:
        hint = _import(owner) if owner else None
    return list(_classes(hint))


def _classes(hint: Any) -> Iterator[type]:
    if inspect.isclass(hint) and not typing.get_args(hint):
        if hint.__module__ not in ("builtins", "types", "collections.abc"):
            yield hint
        return
    for part in typing.get_args(hint):
        if isinstance(part, list):
            continue  # the arguments of a Callable; its result is what is configured
        yield from _classes(part)


def _leaves(base: type) -> Iterator[type]:
    if not (inspect.isabstract(base) or base.__name__.startswith("_") or _lacks_training(base)):
        yield base
    children: list[type] = base.__subclasses__()
    for child in children:
        yield from _leaves(child)


def _lacks_training(cls: type) -> bool:
    """Return whether this is a base class of methods: it inherits Lightning's empty `training_step`."""
    return getattr(getattr(cls, "training_step", None), "__qualname__", "").startswith("LightningModule.")
