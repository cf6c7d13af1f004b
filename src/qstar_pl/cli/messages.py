"""From jsonargparse's many nested lines about a mistake to one: which option, what is wrong, what is close to it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from qstar_pl.cli.signatures import classes_in, imported, leaves, parameters

# Each of these reads one line of such a message, without its indentation and its leading dash.
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
_NO_CONFIG = re.compile(r"^Unable to load config '(?P<value>.*)'$")
_REQUIRED = re.compile(r"^the following arguments are required: (?P<names>.*)$")
_CALLABLE = re.compile(r"^Type typing\.Callable\[.*\] expects a function or a callable class: ")
_OF_CALLABLE = re.compile(r"\. Got value: Namespace\(class_path='(?P<path>[^']+)'.*$")
_NESTED = re.compile(r"^NestedArg\(key=.*, val=(?P<value>.*)\)$")
_NO_KEY = re.compile(r"^Subcommand '[^']+' does not accept option '(?P<name>[^']+)'")
_UNKNOWN = re.compile(r"^[Uu]nrecognized arguments: (?P<words>.*)$")
# Headings of nested reasons, which say nothing by themselves.
_FRAME = re.compile(
    r"^(Does not validate against any|Subtypes:|Errors:|Given value|Subclass types expect"
    r"|a class path|a dict with|Expected a path but )"
)


# One of several types that a value could be of: worth saying only all together, and only if no other line explains it.
_KIND = re.compile(r"^Expected an? <class '(?P<kind>[^']+)'>$")


@dataclass(frozen=True)
class _Mistake:
    """What could be read from a message."""

    keys: tuple[str, ...]
    """From the outermost option to the innermost."""
    classes: tuple[str, ...]
    """Class paths that were resolved on the way, the outermost first."""
    leaf: str
    """The first line that explains something; empty if there is none."""
    missing_file: str | None
    """A value that was read as a path where there is no file."""
    given: str | None
    """The innermost value that was refused."""
    kinds: tuple[str, ...] = ()
    """Types that the value could have had."""
    choices: tuple[str, ...] = ()
    """Values that it could have had."""
    owner: str = ""
    """The class that the leaf is about, if the line right before it names one."""

    @property
    def option(self) -> str:
        return "--" + ".".join(self.keys) if self.keys else ""


def essence(message: str, options: Iterable[str] = ()) -> str:
    """Return one line that says what `message` of jsonargparse is about.

    Args:
        message: jsonargparse's own, of any number of lines.
        options: names of the parser's options, among which close ones are suggested for a misspelled one.

    """
    mistake = _read(message)
    if match := _UNKNOWN.match(mistake.leaf):
        return _unknown_option(match["words"].split()[0], options)
    if match := _NO_KEY.match(mistake.leaf):
        return _unknown_option(f"--{match['name'].partition('.')[0]}", options)
    if match := _REQUIRED.match(mistake.leaf):
        return _missing(match["names"], mistake)
    if match := _NO_CONFIG.match(mistake.leaf):
        return f"--{mistake.keys[0]}: expected a YAML file or a mapping, got {match['value']}"
    where = f"{mistake.option}: " if mistake.option else ""
    if match := _NO_OPTION.match(mistake.leaf):
        name, owner = match["name"], mistake.classes[-1].rpartition(".")[2] if mistake.classes else ""
        known = sorted(parameters(mistake.classes[-1])) if mistake.classes else list(options)
        at = f"{mistake.option}.{name}" if mistake.option else name
        return f"{at}: {owner or 'the command'} has no such option{_near(name, known)}"
    if match := _VALUE.match(mistake.leaf):
        return f"{where}expected {_plain(match['what'])}, got {_null(match['value'])}"
    if _NO_CLASS.search(mistake.leaf) and {"int", "float"} & set(mistake.kinds):
        # The type is a number or a tensor; nobody writes a tensor on a command line.
        return f"{where}expected {' or '.join(mistake.kinds)}, got {_null(mistake.given)}"
    if _NO_CLASS.search(mistake.leaf) or (mistake.missing_file and not mistake.leaf):
        return _no_class_or_file(mistake, where)
    if not mistake.leaf and mistake.choices:
        others = "".join(f" or of type {kind}" for kind in mistake.kinds if f"<class '{kind}'>," in message)
        return f"{where}must be one of {', '.join(mistake.choices)}{others}, got {_null(mistake.given)}"
    if not mistake.leaf and mistake.kinds:
        return f"{where}expected {' or '.join(mistake.kinds)}, got {_null(mistake.given)}"
    return f"{where}{mistake.leaf}"


def _read(message: str) -> _Mistake:
    keys: list[str] = []
    classes: list[str] = []
    kinds: list[str] = []
    choices: list[str] = []
    about = ""
    leaf, missing, given, last = "", None, None, ""
    # Lines go from the outermost option to the innermost, where a union adds a reason per type that does not fit.
    for raw in message.splitlines():
        line = _CALLABLE.sub("", raw.strip().removeprefix("- "))
        owner = _OF_CALLABLE.search(line)
        line = _OF_CALLABLE.sub("", line)
        if match := _KEY.match(line):
            keys.append(match["key"])
            line = match["rest"]
        if match := _CLASS.match(line):
            classes.append(match["path"])
        elif match := _NO_FILE.match(line):
            missing = match["value"]
        elif line.startswith("Given value: "):
            given = given or _NESTED.sub(r"\g<value>", line.removeprefix("Given value: "))  # of the innermost
        elif match := _KIND.match(line):
            kinds += [match["kind"]] * (match["kind"] != "NoneType")  # nobody tried to write null
        elif match := _LITERAL.match(line):
            choices.append(match["choices"])
        elif line and not leaf and not _FRAME.match(line):
            leaf, about = line, last
        elif leaf.startswith("Problems parsing config") and line and not line.startswith("Given"):
            leaf += f" {line}"
        if owner:
            classes.append(owner["path"])
        last = match["path"].rpartition(".")[2] if (match := _CLASS.match(line)) else ""
    ways = tuple(dict.fromkeys(kinds)), tuple(dict.fromkeys(choices))  # without repetitions, in their order
    return _Mistake(tuple(keys), tuple(classes), leaf, missing, given, *ways, about)


def _missing(names: str, mistake: _Mistake) -> str:
    if not mistake.keys:
        return f"--{names.partition('.')[2] or names}: expected a class, got null"  # it has a default
    options = " and ".join(f"{mistake.option}.{name.strip()}" for name in names.split(","))
    return f"{options} must be given{f' for {mistake.owner}' if mistake.owner else ''}"


def _unknown_option(word: str, options: Iterable[str]) -> str:
    name = word.split("=", 1)[0]
    if not name.startswith("-"):
        return f"unexpected word {name}"
    return f"unknown option {name}{_near(name, [f'--{option}' for option in options])}"


def _no_class_or_file(mistake: _Mistake, where: str) -> str:
    unresolved = mistake.missing_file
    if unresolved is None:
        match = re.search(r"(?:path string|path format|Got value): (\S+)", mistake.leaf)
        unresolved = match[1] if match else (mistake.classes[-1] if mistake.classes else mistake.given or "")
    # An option for files, or a value that looks like a file and not like a class.
    if mistake.keys[-1:] == ("config",) or re.search(r"[/\\]|\.(ya?ml|json)$", unresolved):
        return f"{where}no such file: {unresolved}"
    unresolved = _null(unresolved)
    # A class path that could not be imported does not own the option that it was given for.
    owners = tuple(path for path in mistake.classes if path != unresolved)
    known = sorted({cls.__name__ for base in _expected(mistake.keys, owners) for cls in leaves(base)})
    if unresolved == "null":
        kinds = f"one of {', '.join(known)}" if known else "a class"
        return f"{where}expected {kinds}, got null"
    if "does not correspond to a subclass" in mistake.leaf:
        wanted = mistake.leaf.rpartition(" of ")[2]
        return f"{where}{unresolved} is not a {wanted}{_near(unresolved, known)}"
    return f"{where}unknown class {unresolved}{_near(unresolved, known)}"


def _null(value: str | None) -> str:
    """Return a value as YAML writes it."""
    return "null" if value in (None, "None", "null") else str(value)


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
        # Commands other than Lightning's, whose options have no prefix.
        "policy": "qstar_pl.models.ModelSource",
        "sampler": "qstar_pl.samplers.Sampler",
        "target": "qstar_pl.targets.Target",
    }.get(root)
    # The owner of the innermost option: the last class that the message resolved, else that of the outermost option.
    if classes and len(keys) > 1:
        named = parameters(classes[-1]).get(keys[-1])
    elif rest and owner:
        named = parameters(owner).get(rest)
    else:
        return list(classes_in(imported(owner))) if owner else []
    return list(classes_in(named.hint)) if named else []
