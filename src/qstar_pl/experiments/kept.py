"""Results of an experiment's runs on disk, so that a run that has finished is not repeated."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qstar_pl import __version__
from qstar_pl.experiments.seeds import SeedResult
from qstar_pl.files import write_text

RESULT = "result.json"
"""In the folder of each run, written when it has finished."""
_WORD = re.compile(r"[^\s'\"\[\]{},=]{1,200}")
"""What may be the name of a file, or the path of a class."""
_READ = (".yaml", ".yml", ".py")
"""Suffixes of files whose contents count; of others, such as data, it is their size and the time of their change."""


@dataclass(frozen=True)
class Planned:
    """A run of an experiment."""

    config: Path
    seed: int
    folder: Path
    """Of the configuration's runs."""
    overrides: tuple[str, ...]
    """Words after the configuration."""

    @property
    def name(self) -> str:
        """The configuration's name."""
        return self.config.stem

    @property
    def result(self) -> Path:
        """The file of its result."""
        return self.folder / f"seed_{self.seed}" / RESULT

    def fingerprint(self) -> str:
        """Return what changes whenever the run would be another: its words, with all files that they name.

        Files of a user's own classes are among them, but not what those import, and not folders of data.

        Raises:
            OSError: if one of them cannot be read.

        """
        text = json.dumps([__version__, self.seed, self.overrides])
        digest = hashlib.sha256(text.encode())
        for file in (*_with_named(self.config), *_named_in("\n".join(self.overrides), Path())):
            status = file.stat()
            content = file.read_bytes() if file.suffix in _READ else f"{status.st_size} {status.st_mtime_ns}".encode()
            digest.update(b"\0" + content)
        return digest.hexdigest()

    def keep(self, result: SeedResult, fingerprint: str) -> None:
        """Write the result of the run.

        Args:
            result: of the run.
            fingerprint: from before it began, since its files may be edited while it goes on.

        """
        write_text(self.result, json.dumps({"fingerprint": fingerprint, "result": asdict(result)}) + "\n")

    def kept(self) -> SeedResult | None:
        """Return the result of an earlier run of the same kind; None if there is none."""
        try:
            stored = json.loads(self.result.read_text(encoding="utf-8"))
            return _result(stored["result"]) if stored["fingerprint"] == self.fingerprint() else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none yet, or not what this wrote
            return None


def time_left(planned: Sequence[Planned], done: Mapping[str, Sequence[float]]) -> float | None:
    """Return the seconds that runs will take; None if none has finished by which to tell.

    Args:
        planned: the runs that are left.
        done: seconds of the runs that have finished, by the name of their configuration.

    """
    every = [seconds for times in done.values() for seconds in times]
    if not every:
        return None
    usual = sum(every) / len(every)
    means = {name: sum(times) / len(times) for name, times in done.items() if times}
    return sum(means.get(run.name, usual) for run in planned)


def _with_named(config: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield a configuration, and the files that it names."""
    if config.resolve() in seen:
        return
    yield config
    text = config.read_text(encoding="utf-8", errors="replace")
    yield from _named_in(text, config.parent, seen | {config.resolve()})


def _named_in(text: str, folder: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield the files that a text names, by paths from a folder or the working folder on, or by classes in them."""
    for word in dict.fromkeys(_WORD.findall(text)):
        module = Path(f"{'/'.join(word.split('.')[:-1])}.py")
        for file in dict.fromkeys((folder / word, Path(word), module)):
            if not file.is_file():
                continue
            if file.suffix in (".yaml", ".yml"):
                yield from _with_named(file, seen)
            else:
                yield file


def _result(stored: Mapping[str, Any]) -> SeedResult:
    series = {key: [(int(step), float(value)) for step, value in points] for key, points in stored["series"].items()}
    before, after = ({key: float(value) for key, value in stored[when].items()} for when in ("before", "after"))
    return SeedResult(int(stored["seed"]), before, after, series, float(stored["seconds"]))
