"""The files of one evaluation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.describing import differences
from qstar_pl.errors import UserError
from qstar_pl.evaluating.stored_scores import read_scores
from qstar_pl.files import check_not_read, write_text
from qstar_pl.generation.workspace import Workspace, json_bytes, replace_file


@dataclass(frozen=True)
class EvaluationFolder:
    """What lies in the folder of `--output`.

    config.yaml (all options), answers.jsonl and baseline.jsonl (where a model answered; see `Workspace` for what lies
    beside them), scores.jsonl, results.json, results.md, times.json; while it runs, work/.
    """

    path: Path

    def __post_init__(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"output must be a folder, got the file {self.path}")

    def __str__(self) -> str:
        return f"output must be a folder that no other evaluation is writing to, got {self.path}"

    @property
    def lock(self) -> Path:
        """The lock of the process that writes."""
        return self.path / ".lock"

    @property
    def config(self) -> Path:
        """All options."""
        return self.path / "config.yaml"

    @property
    def scores(self) -> Path:
        """A line per prompt: its scores and verdicts."""
        return self.path / "scores.jsonl"

    @property
    def results(self) -> Path:
        """Every number."""
        return self.path / "results.json"

    @property
    def table(self) -> Path:
        """The numbers as markdown."""
        return self.path / "results.md"

    @property
    def times(self) -> Path:
        """Seconds of each stage, and what the judge says of its work: all that differs between equal evaluations."""
        return self.path / "times.json"

    @property
    def work(self) -> Path:
        """What an unfinished evaluation has done."""
        return self.path / "work"

    @property
    def about(self) -> Path:
        """What an unfinished evaluation evaluates."""
        return self.work / "evaluation.json"

    def generated(self, argument: str) -> Path:
        """Return the file of the rows that a model generates for `answers` or `baseline`."""
        return self.path / f"{argument}.jsonl"

    @property
    def complete(self) -> bool:
        """Whether an evaluation has ended here."""
        return self.results.is_file() and self.scores.is_file()

    @property
    def holds_work(self) -> bool:
        """Whether an evaluation has found out anything here; one that was refused at its start has not."""
        generated = [Workspace(self.generated(argument)) for argument in ("answers", "baseline")]
        return (
            self.results.is_file()
            or self.scores.is_file()
            or any(one.output.exists() or one.work.exists() for one in generated)
            or next(self.work.rglob("shard-*.jsonl"), None) is not None
        )

    def stored(self) -> dict[str, Any]:
        """Return what the evaluation in this place evaluates; empty if there is none.

        Raises:
            UserError: if it cannot be read.

        """
        for file in (self.about, self.results):
            if file.is_file():
                try:
                    found = json.loads(file.read_text(encoding="utf-8"))
                    return dict(found["settings"])
                except (ValueError, TypeError, KeyError) as error:
                    raise UserError(f"output: {file} is damaged ({error}); give --overwrite to begin anew") from error
        return {}

    def begin(self, settings: Mapping[str, Any], config: str | None) -> None:
        """Remember what is evaluated.

        Args:
            settings: of the answers and the data: those that must not change between two calls.
            config: all options as YAML.

        Raises:
            UserError: if this folder holds an evaluation of something else; says what differs.

        """
        stored = self.stored() if self.holds_work else {}
        if changed := differences(stored, json.loads(json.dumps(dict(settings)))) if stored else []:
            raise UserError(
                f"output {self.path} holds another evaluation: {'; '.join(changed)}. Name another output, or give "
                "--overwrite"
            )
        self.work.mkdir(parents=True, exist_ok=True)
        replace_file(self.about, json_bytes({"settings": dict(settings)}))
        if config is not None:
            write_text(self.config, config)

    def ended(self) -> dict[str, Any]:
        """Return results.json of the evaluation that has ended here.

        Raises:
            UserError: if it cannot be read, or does not say of which metrics, judge and prompts it is.

        """
        try:
            found = dict(json.loads(self.results.read_text(encoding="utf-8")))
            stages = found["stages"]
            _ = dict(stages["scores"]["metrics"]), str(stages["verdicts"].get("judge")), found["data"]["evaluated"] + 0
        except KeyError as error:
            raise UserError(f"{self.results} must be the results of an evaluation, got none with {error}") from error
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{self.results} must be the results of an evaluation, got {error}") from error
        return found

    def stage(self, name: str) -> Any:
        """Return what a stage of the evaluation that has ended here depended on; None: that is not known.

        Raises:
            UserError: if results.json cannot be read.

        """
        try:
            return json.loads(self.results.read_text(encoding="utf-8")).get("stages", {}).get(name)
        except (OSError, ValueError, AttributeError) as error:
            raise UserError(f"output: {self.results} is damaged ({error}); give --overwrite to begin anew") from error

    def lines(self, prompts: int) -> list[dict[str, Any]]:
        """Return the lines of scores.jsonl, of so many prompts; see `read_scores`."""
        return read_scores(self.scores, prompts)

    def finish(self) -> None:
        """Remove what a finished evaluation does not need."""
        shutil.rmtree(self.work, ignore_errors=True)

    @property
    def _own(self) -> tuple[Path, ...]:
        return self.results, self.scores, self.table, self.times, self.config

    def check_apart(self, read: Iterable[Path]) -> None:
        """Raise UserError where `clear` would delete one of the files that are read."""
        answers, baseline = (Workspace(self.generated(argument)) for argument in ("answers", "baseline"))
        for file in (*self._own, *answers.files, *baseline.files):
            check_not_read(file, read)

    def clear(self) -> None:
        """Delete all that an evaluation writes; the results first, so that nothing incomplete looks finished."""
        for file in self._own:
            file.unlink(missing_ok=True)
        for argument in ("answers", "baseline"):
            Workspace(self.generated(argument)).clear()
        self.finish()
