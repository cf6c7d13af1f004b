"""What a cell's words resolve to: compared to see what has changed, and checked against the budget."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qstar_pl import __version__
from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix.experiment import Budget, Cell
from qstar_pl.hashing import digest, file_digest

PACKAGE = Path(__file__).resolve().parents[2]
NOT_SETTINGS = ("name", "date", "ckpt_path", "weights_only", "trainer.default_root_dir", "seed_everything")
"""Parts of a resolved configuration that say which run it is, where it lies, and on which day it began."""
_PLACES = re.compile(r"trainer\.logger(?:\.\d+)?\.init_args\.(?:save_dir|name|version|id)")
_HELD_OUT = re.compile(
    r"data\.class_path|data\.init_args\.(?:path|adapter|split|seed|filters|subset_size|max_rows|max_prompt_tokens"
    r"|drop_long_answers|system_prompt|rendering|val_.*|test_.*)\b"
)
_PARTS = {
    "model": "model",
    "sampler": "model.init_args.sampler",
    "alpha": "model.init_args.sampler.init_args.alpha",
    "target": "model.init_args.target",
    "weights": "model.init_args.weights",
}
_HASHED = (".yaml", ".yml", ".py", ".json")
"""Suffixes of files whose contents count; of others, such as data, it is their size and the time of their change."""
Flat = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """A cell's resolved configuration, flat: option → plain value."""

    options: Flat
    measures: frozenset[str] | None = field(default=None, compare=False)
    """What validation may log, `val/…`; None: that is not known beforehand."""

    @classmethod
    def of(cls, config: Mapping[str, Any], measures: frozenset[str] | None = None) -> Settings:
        """Take what decides about numbers from a configuration that `--print_config` gave."""
        options = dict(_flat("", config))
        kept = {key: value for key, value in options.items() if key not in NOT_SETTINGS and not _PLACES.fullmatch(key)}
        return cls(kept | dict(_files(kept)), measures)

    @property
    def digest(self) -> str:
        """Changes whenever one of them does."""
        return digest(json.dumps(self.options, sort_keys=True, default=str)).hex()

    @property
    def held_out(self) -> str:
        """Changes whenever other prompts are held out."""
        return digest(json.dumps({k: v for k, v in self.options.items() if _HELD_OUT.match(k)}, sort_keys=True)).hex()

    @property
    def classes(self) -> dict[str, str]:
        """The class of each part that decides from where is sampled and how it is learned from; see `_PARTS`."""
        paths = {part: self.options.get(f"{key}.class_path") for part, key in _PARTS.items()}
        return {part: path.rpartition(".")[2] for part, path in paths.items() if isinstance(path, str)}

    def changed(self, before: Mapping[str, Any]) -> str:
        """Return what differs from earlier settings in a line: "trainer.max_steps 100 → 200"."""
        known = {**before, **self.options}
        parts = [
            f"{key} {before.get(key, 'absent')} → {self.options.get(key, 'absent')}"
            for key in known
            if before.get(key, _ABSENT) != self.options.get(key, _ABSENT)
        ]
        more = f" and {len(parts) - 3} more" if len(parts) > 3 else ""
        return "; ".join(parts[:3]) + more

    def samples(self) -> float | None:
        """Return how many samples the run takes by its steps; None if its length is not given in steps."""
        get = self.options.get
        steps = get("trainer.max_steps")
        if not isinstance(steps, int) or steps < 1:
            return None
        devices = get("trainer.devices")
        micro_steps = int(get("trainer.accumulate_grad_batches") or 1)
        rows = int(get("data.init_args.batch_size") or 1) * int(get("model.init_args.samples_per_prompt") or 1)
        processes = (devices if isinstance(devices, int) else 1) * int(get("trainer.num_nodes") or 1)
        # Of methods that take several optimizer steps on what they have drawn, each of them counts in max_steps.
        passes = int(get("model.init_args.epochs") or 1) * int(get("model.init_args.minibatches") or 1)
        return rows * micro_steps * processes * steps / passes


_ABSENT = object()


def check_settings(
    cell: Cell, settings: Settings, budget: Budget | None, score: str | None = None, before: float = 0
) -> None:
    """Check before anything runs that a cell can end at its budget, logs what it has spent, and measures the score.

    Args:
        cell: that is described.
        settings: of it.
        budget: of all stages together; a stage that others start from must leave some of it.
        score: what validation must measure; None: anything.
        before: samples that the stages before it take.

    Raises:
        UserError: if it cannot.

    """
    loggers = [value for key, value in settings.options.items() if key.startswith("trainer.logger")]
    if not any(str(value).endswith("CSVLogger") for value in loggers):
        raise UserError(f"{cell.where}: cell {cell.name}: trainer.logger must be, or hold, a CSVLogger")
    if score is not None and settings.measures is not None and score not in settings.measures:
        measured = ", ".join(sorted(settings.measures))
        raise UserError(
            f"{cell.where}: cell {cell.name}: evaluation.score must be measured, got {score} (measured: {measured})"
        )
    if budget is not None and settings.options.get("trainer.max_steps") == 0:
        raise UserError(f"{cell.where}: cell {cell.name}: trainer.max_steps must leave room for {budget}, got 0")
    if budget is None or budget.unit != "samples":
        return
    taken = settings.samples()
    left = budget.amount - before
    if cell.is_stage and taken is not None and taken < left:
        return
    if cell.is_stage or taken != left:
        steps = settings.options.get("trainer.max_steps") or 0
        wanted = f"; {steps * left / taken:g} steps would" if taken and left > 0 and not cell.is_stage else ""
        rest = f" less the {before:,.0f} of the stages before" if before else ""
        why = "since others start from it" if cell.is_stage else "as all cells do"
        rule = f"take {'less than ' if cell.is_stage else ''}{budget}{rest}, {why}"
        raise UserError(
            f"{cell.where}: cell {cell.name}: trainer.max_steps must {rule}, "
            f"got {steps} steps, which take {'an unknown number' if taken is None else f'{taken:,.0f}'}{wanted}"
        )


def code_version() -> str:
    """Return the package's version with a digest of its source: "0.1.0+3f2a9c1b"."""
    sources = sorted({*PACKAGE.rglob("*.py"), *(PACKAGE / "callbacks").rglob("*.py")})
    text = "\n".join(f"{file.relative_to(PACKAGE)} {file_digest(file)}" for file in sources)
    return f"{__version__}+{digest(text, 4).hex()}"


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, one in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), one)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for number, one in enumerate(value):
            yield from _flat(f"{name}.{number}", one)
    else:
        yield name, value


def _files(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the files hold that are named: data, checkpoints, and a user's own classes, not what those import."""
    for key, value in options.items():
        if not isinstance(value, str) or not value or len(value) > 300:
            continue
        file = Path(value)
        if key.endswith("class_path") and not value.startswith(("qstar_pl.", "torch.", "lightning.")):
            file = _module(value)
        if file.suffix and file.is_file():
            status = file.stat()
            content = file_digest(file, 8) if file.suffix in _HASHED else f"{status.st_size} {status.st_mtime_ns}"
            yield f"{key} (contents)", content


def _module(class_path: str) -> Path:
    try:
        found = find_spec(class_path.rpartition(".")[0])
    except (ImportError, ValueError):
        found = None
    return Path(found.origin) if found is not None and found.origin else Path()
