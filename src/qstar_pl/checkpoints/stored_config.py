"""What a configuration that came with a checkpoint may say, and what only the command line may.

Whoever wrote a checkpoint decides what it says. Numbers, names of this project's classes, and names of models and data
to read are taken from it; what would run code, send something somewhere or write outside the run's folder is not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from qstar_pl.renamed import in_config

CLASSES = (
    "qstar_pl.",
    "torch.optim.",
    "lightning.pytorch.callbacks.",
    "lightning.pytorch.cli.",
    "lightning.pytorch.loggers.",
    "lightning.pytorch.plugins.",
    "lightning.pytorch.profilers.",
    "lightning.pytorch.strategies.",
    "lightning.fabric.plugins.",
)
"""Where a stored configuration may name classes; a name without a dot is one that the parser already knows."""
TRUST = "trust_remote_code"
FOREIGN = "a class that is not of this package"
SENDING = "a judge that sends texts away, for money"
OF_A_MODEL = "code that comes with a model"
_ADDRESSES = ("api_key", "base_url", "entity", "host", "run", "settings", "tracking_uri", "workspace")
"""Options of loggers that say to whom a run is sent."""
_SENDING = ("LLMJudge",)
"""Classes that send texts to whom nobody need name: to OpenAI, with a key of the environment."""
_READ = ("path", "name", "tokenizer", "tokenizer_name", "revision", "split")
"""Options that name what is read: files of weights and rows, which hold nothing to run."""
_TEXTS = ("prompt_template", "chat_template", "system_prompt")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_URL = re.compile(r"\s*[\w+.-]+(://|::).*", re.DOTALL)
"""An address, also a chain of fsspec's: simplecache::http://…"""
_NOTHING = object()  # a value to leave out, since None is one to keep


@dataclass(frozen=True)
class Withheld:
    """Something in a stored configuration that is not taken from there."""

    option: str
    """Its name on the command line, without dashes."""
    value: str
    reason: str
    """In a few words, as an apposition to the option."""
    of_list: bool = False
    """Whether it is one of the option's several values, which `+=` adds to."""

    @property
    def words(self) -> str:
        """What to write on the command line if it is meant."""
        value = f"'{self.value}'" if re.search(r"[^\w./:+=-]", self.value) else self.value
        return f"--{self.option}{'+=' if self.of_list else '='}{value}"

    def is_answered(self, given: Collection[str]) -> bool:
        """Return whether the user has said something about the option; see `option_names`."""
        return any(self.option == one or self.option.startswith(f"{one}.") for one in given)


def without_risks(config: Mapping[str, Any], checkpoint: Path | None = None) -> tuple[dict[str, Any], list[Withheld]]:
    """Return a stored configuration without what only the command line may say, and what that was.

    Args:
        config: of plain containers; classes that have moved since are looked for where they are now.
        checkpoint: in which it stood: the folder of its runs, and its own, may be written to again.

    """
    sieve = _Sieve(_folders(checkpoint))
    return sieve.mapping("", in_config(config)), sieve.withheld


def withheld_line(argument: str, path: object, withheld: Collection[Withheld]) -> str:
    """Return the message that refuses a checkpoint for what its configuration says."""
    reasons = ", ".join(dict.fromkeys(f"{one.option} ({one.reason})" for one in withheld))
    meant = " ".join(dict.fromkeys(one.words for one in withheld))
    return (
        f"{argument} must not bring what only the command line may say, got {path} with {reasons}; "
        f"if you mean it, give {meant}, or something else for each"
    )


def option_names(settings: Any, key: str = "") -> Iterator[str]:
    """Yield the names of the options that a user's YAML sets, as they are on the command line."""
    if not isinstance(settings, Mapping):
        yield key
        return
    for name, value in settings.items():
        part = str(name).removesuffix("+")  # jsonargparse's `key+:` appends to a list
        if part == "class_path":
            yield key
        elif part in ("init_args", "dict_kwargs"):
            yield from option_names(value, key)
        else:
            yield from option_names(value, f"{key}.{part}" if key else part)


@dataclass
class _Sieve:
    folders: Collection[Path]
    withheld: list[Withheld] = field(default_factory=list)

    def mapping(self, key: str, config: Mapping[str, Any]) -> dict[str, Any]:
        kept = {}
        for name, value in config.items():
            if name == "dict_kwargs" and value:
                # jsonargparse passes these on unchecked, since no signature names them: nobody knows what they do.
                for option in value if isinstance(value, Mapping) else ():
                    self._withhold(f"{key}.dict_kwargs.{option}", value[option], "an argument that is not checked")
                continue
            below = key if name in ("init_args", "dict_kwargs") else f"{key}.{name}" if key else str(name)
            if (taken := self._value(below, value)) is not _NOTHING:
                kept[name] = taken
        return kept

    def _value(self, key: str, value: Any) -> Any:
        name = key.rpartition(".")[2]
        if isinstance(value, Mapping):
            path = value.get("class_path")
            if "class_path" in value and not (isinstance(path, str) and _is_known(path)):
                return self._withhold(key, path, FOREIGN)
            if str(path).rpartition(".")[2] in _SENDING:
                return self._withhold(key, path, SENDING)
            return self.mapping(key, value)
        if isinstance(value, list | tuple):
            return [one for item in value if (one := self._item(key, item)) is not _NOTHING]
        if name == TRUST and value not in (False, None):
            return self._withhold(key, "true", OF_A_MODEL)
        if name in _ADDRESSES and value is not None and key.startswith("trainer."):
            return self._withhold(key, value, "an address")
        if not isinstance(value, str) or name == "class_path":
            return value
        return self._text(key, name, value)

    def _item(self, key: str, item: Any) -> Any:
        """Return what is kept of one of several values."""
        before = len(self.withheld)
        kept = self._value(key, item)
        # What an item holds further down has options of its own, which take one value.
        inside = [replace(one, of_list=one.option == key) for one in self.withheld[before:]]
        self.withheld[before:] = inside
        named = isinstance(kept, Mapping) and "class_path" in kept
        if named and any(one.reason in (FOREIGN, SENDING) for one in inside):
            # Without a part of its own it would be another thing, or nothing: it goes as a whole.
            whole = Withheld(key, str(kept["class_path"]), "without a part of its own", of_list=True)
            self.withheld.insert(before, whole)
            return _NOTHING
        return kept

    def _text(self, key: str, name: str, value: str) -> Any:
        if name in _TEXTS and not value.endswith(".jinja"):  # the text itself, and not a file that holds it
            return value
        if _URL.fullmatch(value):
            return self._withhold(key, value, "an address")
        # `name` is a folder of the run's path.
        writes = key == "name" or key.startswith("trainer.") or name.endswith("dir")
        if writes and _leads_out(value) and not self._is_of_run(value):
            return self._withhold(key, value, "a place to write to, outside the run's folder")
        if name in _READ and not writes:
            return value
        if _is_importable(value):
            return self._withhold(key, value, "something to import")
        if not writes and _is_file(value) and name not in _TEXTS:
            return self._withhold(key, value, "a file of settings")
        return value

    def _withhold(self, key: str, value: Any, reason: str) -> Any:
        self.withheld.append(Withheld(key, str(value), reason))
        return _NOTHING

    def _is_of_run(self, value: str) -> bool:
        return Path(value).resolve() in self.folders


def _folders(checkpoint: Path | None) -> Collection[Path]:
    """Return the folder in which a checkpoint lies, and that of its runs: ROOT/NAME/VERSION/checkpoints/x.ckpt."""
    above = [] if checkpoint is None else list(checkpoint.resolve().parents)
    # Of the parents the fourth is ROOT.
    return [*above[:1], *(above[3:4] if above and above[0].name == "checkpoints" else [])]


def _is_known(path: str) -> bool:
    return "." not in path or (path.startswith(CLASSES) and bool(_DOTTED.fullmatch(path)))


def _leads_out(value: str) -> bool:
    path = Path(value)
    return path.is_absolute() or ".." in path.parts or value.startswith("~")


def _is_importable(value: str) -> bool:
    """Return whether a text could be the name of something to import; it is not tried."""
    if not _DOTTED.fullmatch(value):
        return False
    top = value.partition(".")[0]
    if top in sys.builtin_module_names or top in sys.stdlib_module_names or top in sys.modules:
        return True
    return PathFinder.find_spec(top) is not None  # of the top alone: looking further down would import it


def _is_file(value: str) -> bool:
    try:
        return len(value) < 4096 and Path(value).is_file()
    except (OSError, ValueError):
        return False
