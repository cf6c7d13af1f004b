"""From jsonargparse's many nested lines about a mistake to one: which option, what is wrong, what is close to it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from qstar_pl.cli.signatures import classes_in, imported, leaves, parameters

# Each of these reads one line of such a message, without what comes before it (`_BEFORE`).
_BEFORE = re.compile(r"^(?:- |Type typing\.Callable\[.*\] expects a function or a callable class: )+")
_KEY = re.compile(r'^Parser key "(?P<key>[^"]+)":\s*(?P<rest>.*)$')
_CLASS = re.compile(r"^Problem with given class_path '(?P<path>[^']+)':$")
_OF_CALLABLE = re.compile(r"\. Got value: Namespace\(class_path='(?P<path>[^']+)'.*$")
_NO_OPTION = re.compile(
    r"^(?:[Uu]nrecognized arguments: (?P<word>[^ =]+)|Subcommand '[^']+' does not accept option '(?P<key>[^']+)'"
    r"|(?:Option|Key) '(?P<argument>[^']+)' is not (?:accepted|expected))"
)
_REQUIRED = re.compile(r"^the following arguments are required: (?P<names>.*)$")
_NO_CLASS = re.compile(
    r"(Expected a dot import path string|Unexpected import path format|does not correspond to a subclass"
    r"|has no attribute|No module named|Not a valid subclass)"
)
_NO_FILE = re.compile(r"^Expected a path but (?P<value>.*) either not accessible or invalid")
# Of a union there is a line per type, without the value, which a later line gives.
_EXPECTED = re.compile(
    r"^Expected an? (?:<class '(?P<kind>[^']+)'>|typing\.Literal\[(?P<choices>.*?)\]|(?P<what>.+?))"
    r"(?:\. Got value: (?P<value>.*))?$"
)
_GIVEN = re.compile(r"^Given value: (?:NestedArg\(key=.*, val=(?P<nested>.*)\)|(?P<value>.*))$")
_DENIED = re.compile(r"^Importing '(?P<path>[^']+)' is not allowed")
_NO_VALUE = re.compile(r"^argument (?:-\w/)?(?P<name>--\S+): expected (?:one|at least one) argument")
ELSEWHERE = {
    "lr": "model.optimizer.lr",
    "learning_rate": "model.optimizer.lr",
    "batch_size": "data.batch_size",
    "per_device_train_batch_size": "data.batch_size",
    "gradient_accumulation_steps": "trainer.accumulate_grad_batches",
    "num_train_epochs": "trainer.max_epochs",
    "epochs": "trainer.max_epochs",
    "model_name_or_path": "model.policy.name",
    "dataset": "data.path",
    "dataset_name": "data.path",
    "output_dir": "trainer.default_root_dir",
    "seed": "seed_everything",
    "optimizer": "model.optimizer",
    "lr_scheduler": "model.lr_scheduler",
    "steps": "trainer.max_steps",
}
"""What other programs call an option → what it is called here."""
_CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")
_MOST = 24
"""How many known names a line can hold."""
# Headings of nested reasons, which say nothing by themselves.
_FRAME = re.compile(
    r"^(Does not validate against any|Subtypes:|Errors:|Given value|Subclass types expect|a class path|a dict with)"
)


@dataclass
class _Mistake:
    """What could be read from a message."""

    keys: list[str] = field(default_factory=list)
    """From the outermost option to the innermost."""
    classes: list[str] = field(default_factory=list)
    """Class paths that were resolved on the way, the outermost first."""
    leaf: str = ""
    """The first line that explains something; empty if there is none."""
    owner: str = ""
    """The class that the leaf is about, if the line right before it names one."""
    missing_file: str | None = None
    """A value that was read as a path where there is no file."""
    given: str | None = None
    """The innermost value that was refused."""
    kinds: list[str] = field(default_factory=list)
    """Types that the value could have had."""
    choices: list[str] = field(default_factory=list)
    """Values that it could have had."""

    def add_way(self, match: re.Match[str]) -> None:
        """Add a kind or choices that the value could have had."""
        ways = self.choices if match["choices"] else self.kinds
        way = match["choices"] or match["kind"] or match["what"]
        if way not in ways and way != "NoneType":  # nobody tried to write null
            ways.append(way)
        self.given = self.given or match["value"]

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
    where = f"{mistake.option}: " if mistake.option else ""
    if match := _NO_OPTION.match(mistake.leaf):
        return _unknown_option(match, mistake, list(options))
    if mistake.leaf.startswith("Unable to load config "):
        value = mistake.leaf.removeprefix("Unable to load config ").strip("'\"")
        return f"--{mistake.keys[0]}: expected a YAML file or a mapping, got {value}"
    if match := _NO_VALUE.match(mistake.leaf):
        return f"{match['name']} must be followed by a value, got nothing"
    if match := _DENIED.match(mistake.leaf):
        return f"{where}{match['path']} must not be named in a configuration: what is there could run anything"
    if match := _REQUIRED.match(mistake.leaf):
        return _missing(match["names"], mistake)
    # Of a number or a tensor, the line on the tensor explains nothing: nobody writes one on a command line.
    no_class = _NO_CLASS.search(mistake.leaf) and not {"int", "float"} & set(mistake.kinds)
    if no_class or (mistake.missing_file and not mistake.leaf):
        return _no_class_or_file(mistake, where)
    if mistake.leaf and not _NO_CLASS.search(mistake.leaf):
        return f"{where}{mistake.leaf}"
    if mistake.choices:
        others = "".join(f" or of type {kind}" for kind in mistake.kinds if f"<class '{kind}'>," in message)
        return f"{where}must be one of {', '.join(mistake.choices)}{others}, got {_null(mistake.given)}"
    return f"{where}expected {' or '.join(mistake.kinds)}, got {_null(mistake.given)}"


def _read(message: str) -> _Mistake:
    found, last = _Mistake(), ""
    # Lines go from the outermost option to the innermost, where a union adds a reason per type that does not fit.
    for raw in _of_named_class(message.splitlines()):
        line = _BEFORE.sub("", raw.strip())
        owner = _OF_CALLABLE.search(line)
        line = _OF_CALLABLE.sub("", line)
        if match := _KEY.match(line):
            found.keys.append(match["key"])
            line = match["rest"]
        of_class = _CLASS.match(line)
        if of_class:
            found.classes.append(of_class["path"])
        elif match := _NO_FILE.match(line):
            found.missing_file = match["value"]
        elif match := _GIVEN.match(line):
            found.given = found.given or match["nested"] or match["value"]  # of the innermost
        elif not _NO_CLASS.search(line) and (match := _EXPECTED.match(line)):
            found.add_way(match)
        elif line and not found.leaf and not _FRAME.match(line):
            found.leaf, found.owner = line, last
        elif found.leaf.startswith("Problems parsing config") and line and not line.startswith("Given"):
            found.leaf += f" {line}"
        if owner:
            found.classes.append(owner["path"])
        last = of_class["path"].rpartition(".")[2] if of_class else ""
    return found


def _of_named_class(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without what is said of a base class, which is tried once the class that was named does not fit."""
    first, skipped = dict[int, str](), None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if skipped is not None and depth > skipped:
            continue
        skipped = None
        first = {other: path for other, path in first.items() if other <= depth}
        match = _CLASS.match(_BEFORE.sub("", line.strip()))
        if match and first.setdefault(depth, match["path"]) != match["path"]:
            skipped = depth
        else:
            yield line


def _missing(names: str, mistake: _Mistake) -> str:
    if not mistake.keys:
        return f"--{names.partition('.')[2] or names}: expected a class, got null"  # it has a default
    options = " and ".join(f"{mistake.option}.{name.strip()}" for name in names.split(","))
    return f"{options} must be given{f' for {mistake.owner}' if mistake.owner else ''}"


def _unknown_option(match: re.Match[str], mistake: _Mistake, options: list[str]) -> str:
    if name := match["argument"]:
        owner = mistake.classes[-1] if mistake.classes else ""
        known = sorted(parameters(owner)) if owner else options
        at = f"{mistake.option}.{name}" if mistake.option else name
        return f"{at}: {owner.rpartition('.')[2] or 'the command'} has no such option{near(name, known)}"
    if match["word"] and mistake.keys and mistake.classes:
        return _unknown_nested(match["word"].lstrip("-"), mistake)
    word = match["word"] or f"--{_unknown_part(match['key'], options)}"
    if not word.startswith("-"):
        return f"unexpected word {word}"
    if word.lstrip("-").partition(".")[0] in _CLASS_KEYS:  # a file of configs/method, say, given as all settings
        return (
            f"unknown option {word}: a file with class_path and init_args describes one part, and is the value of its "
            "option (--model=method/ppo.yaml, --model.sampler=FILE), not of --config"
        )
    here = ELSEWHERE.get(word.lstrip("-"))
    if here is not None and any(here.startswith(option) for option in options):
        return f"unknown option {word}; did you mean --{here}?"
    return f"unknown option {word}{near(word, [f'--{option}' for option in options])}"


def _unknown_nested(name: str, mistake: _Mistake) -> str:
    """Return what is wrong with limits.worker of a judge: LLMJudge has limits, whose class has no such option."""
    *holders, last = name.split(".")
    owner, known = mistake.classes[-1], parameters(mistake.classes[-1])
    for place, holder in enumerate(holders):
        found = next(classes_in(known[holder].hint), None) if holder in known else None
        if found is None:  # no such option, or one that holds no others
            holders, last = (holders, last) if holder in known else (holders[:place], holder)
            known = {} if holder in known else known
            break
        owner = f"{found.__module__}.{found.__qualname__}"
        known = parameters(owner)
    at = ".".join([mistake.option, *holders, last])
    return f"{at}: {owner.rpartition('.')[2]} has no such option{near(last, sorted(known))}"


def _unknown_part(key: str, options: list[str]) -> str:
    """Return the key as far as it is unknown: of modell.class_path the model, of trainer.max_stepz the whole."""
    group = key.partition(".")[0]
    return key if group in options or any(option.startswith(f"{group}.") for option in options) else group


def _no_class_or_file(mistake: _Mistake, where: str) -> str:
    unresolved = mistake.missing_file
    if unresolved is None:
        match = re.search(r"(?:path string|path format|Got value): (\S+)", mistake.leaf)
        unresolved = match[1] if match else (mistake.classes[-1] if mistake.classes else mistake.given or "")
    # An option for files, or a value that looks like a file and not like a class.
    a_file = re.search(r"\.(ya?ml|json)$", unresolved)
    unresolved = _null(unresolved)
    # A class path that could not be imported does not own the option that it was given for.
    owners = [path for path in mistake.classes if path != unresolved]
    expected = _expected(mistake.keys, owners)
    if mistake.keys[-1:] == ["config"] or a_file or re.search(r"[/\\]", unresolved):
        # A model's name or folder, where the class that takes it is asked for.
        named = not a_file and any(base.__name__ == "ModelSource" for base in expected)
        hint = f"; a model of that name or folder is {mistake.option}.name={unresolved}" if named else ""
        return f"{where}no such file: {unresolved}{hint}"
    known = sorted({cls.__name__ for base in expected for cls in leaves(base)})
    if known and re.fullmatch(r"\[.*\]", unresolved):  # a list of classes, of which one is not
        names = [name.strip() for name in unresolved[1:-1].split(",")]
        unresolved = next((name for name in names if name not in known), unresolved)
    if unresolved == "null":
        kinds = f"one of {', '.join(known)}" if known else "a class"
        return f"{where}expected {kinds}, got null"
    if "does not correspond to a subclass" in mistake.leaf:
        wanted = mistake.leaf.rpartition(" of ")[2]
        return f"{where}{unresolved} is not a {wanted}{near(unresolved, known)}"
    if unresolved in known:  # and yet refused
        return f"{where}expected a list, got {unresolved}; {mistake.option}+={unresolved} adds one"
    return f"{where}unknown class {unresolved}{near(unresolved, known, mistake.option)}"


def _null(value: str | None) -> str:
    """Return a value as YAML writes it."""
    return "null" if value in (None, "None", "null") else str(value)


def near(name: str, known: list[str], option: str = "") -> str:
    """Return "; did you mean …?", or the whole list where it is short, or nothing.

    Of a long list of the classes for an option, its beginning, and the option that shows them all.
    """
    stem = name.lstrip("-").rpartition(".")[2].lower()
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    close += [item for item in known if len(stem) > 2 and stem in item.lower() and item not in close][:3]
    if close:
        return f"; did you mean {' or '.join(close)}?"
    if option and len(known) > _MOST:
        return f"; known: {', '.join(known[:10])} and {len(known) - 10} more ({option}.help)"
    return f"; known: {', '.join(known)}" if known and len(known) <= _MOST else ""


def _expected(keys: Sequence[str], classes: Sequence[str]) -> list[type]:
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
        "judge": "qstar_pl.evaluation.judges.Judge",
        "metrics": "qstar_pl.evaluation.metrics.Metric",
        "reward": "qstar_pl.rewards.Reward",
        "gold": "qstar_pl.rewards.Reward",
    }.get(root)
    # The owner of the innermost option: the last class that the message resolved, else that of the outermost option.
    if classes and len(keys) > 1:
        named = parameters(classes[-1]).get(keys[-1])
    elif rest and owner:
        named = parameters(owner).get(rest)
    else:
        return list(classes_in(imported(owner))) if owner else []
    return list(classes_in(named.hint)) if named else []
