"""From settings to a report: what `qstar evaluate` does."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from qstar_pl.data.records import json_line
from qstar_pl.data.wording import OF_GENERATE, speaking
from qstar_pl.describing import described
from qstar_pl.errors import UserError
from qstar_pl.evaluating.answering import answered
from qstar_pl.evaluating.clock import Clock
from qstar_pl.evaluating.defaults import default_metrics
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.items import Item, items_of
from qstar_pl.evaluating.launch import Launch
from qstar_pl.evaluating.progress import StageProgress
from qstar_pl.evaluating.prompts import read_prompts
from qstar_pl.evaluating.ranks import Ranks
from qstar_pl.evaluating.reading import Reading, check_given
from qstar_pl.evaluating.records import labels_of
from qstar_pl.evaluating.report.about import about
from qstar_pl.evaluating.report.report import Report, report_of
from qstar_pl.evaluating.report.tables import markdown
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.evaluating.sources import Answered, AnswersFile, DataAnswers
from qstar_pl.evaluating.stages import judging, scoring
from qstar_pl.evaluating.stages.scoring import Scoring
from qstar_pl.evaluating.stages.stage import Record, Stage
from qstar_pl.evaluation.judges import check_knows
from qstar_pl.evaluation.metrics import Metric
from qstar_pl.evaluation.metrics.measurements import check_needs
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.evaluation.text_rewards import TextRewards, own_model, scorer_of
from qstar_pl.files import write_text
from qstar_pl.generation.run import is_first
from qstar_pl.generation.workspace import json_bytes, replace_file
from qstar_pl.locks import Lock, check_free
from qstar_pl.rewards import Reward


def evaluate(settings: EvaluationSettings, output: Path, launch: Launch = Launch()) -> Evaluation:
    """Evaluate, or go on with an evaluation that was interrupted; every process calls it.

    Args:
        settings: what is evaluated, and how.
        output: a folder; see `EvaluationFolder`.
        launch: on which processes, and what to do with what is there.

    Raises:
        UserError: if something in the settings is wrong, `output` holds another evaluation, or the disk is full; what
            was done is kept.

    """
    folder = EvaluationFolder(output)
    run = Evaluation(settings, folder, launch)
    if launch.judge_only and not folder.complete:
        raise UserError(f"judge_only must be given where an evaluation has ended, got {output}, where none has")
    if not is_first():
        run.do()
        return run
    check_free(folder.lock, str(folder))
    with _full_disk(folder):
        lock = Lock.acquire(folder.lock, str(folder))
        try:
            if launch.overwrite:
                files = [one.path for one in settings.sources().values() if isinstance(one, AnswersFile)]
                folder.check_apart([Path(one).expanduser() for one in (settings.prompts().path, *files)])
                folder.clear()
            folder.begin(settings.as_dict(), launch.config)
            run.do()
        finally:
            lock.release()
    return run


class Evaluation:
    """One evaluation, stage by stage; each finds what an earlier call has done."""

    report: Report | None = None
    """On process 0, once it is done."""

    def __init__(self, settings: EvaluationSettings, folder: EvaluationFolder, launch: Launch) -> None:
        self.settings = settings
        self.folder = folder
        self.launch = launch
        self.clock = Clock()
        self._judge_report: dict[str, Any] = {}

    def do(self) -> None:
        """Do all stages."""
        with self.clock.stage("data"), speaking(OF_GENERATE):
            self.prompts = read_prompts(self.data)
        self.sources = self.settings.sources()
        self._check_needs(self.settings.samples_per_prompt if self._generates("answers") else None)
        if self.settings.judge is not None:
            self.settings.judge.check()
        found: dict[str, Answered] = {}
        for argument, source in self.sources.items():
            with self.clock.stage(argument):
                found[argument] = answered(
                    source, argument, self.prompts, self.settings, self.folder, self.launch, self._reading.of_drawn
                )
        self.answered = found
        self.items = items_of(self.prompts, found["answers"], found.get("baseline"))
        counts = [len(item.answers) for item in self.items]
        if self.settings.metrics is None:  # how many answers a file has is known only now
            self.metrics = self._default_metrics(min(counts))
        self._check_needs(max(counts))
        ranks = Ranks.joined(self.settings.device, self.launch.devices)
        with self.clock.stage("scores"):
            scores = self._scores(ranks)
        if not ranks.is_first:
            return
        with self.clock.stage("judging"):
            verdicts = self._verdicts(ranks)
        with self.clock.stage("statistics"):
            lines = [self._line(*parts) for parts in zip(self.items, scores, verdicts, strict=True)]
            report = report_of(lines, self.metrics, self._judge_said, self.settings.how(), self._about())
        with self.clock.stage("files"):
            self._write(lines, report)
        self.report = report

    @cached_property
    def data(self) -> Any:
        """The prompts, as `qstar generate` reads them."""
        return self.settings.prompts()

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """What is measured, by labels."""
        given = self.settings.metrics
        if given is not None:
            return labels_of(given)
        return self._default_metrics(self.settings.samples_per_prompt if self._generates("answers") else None)

    def _default_metrics(self, samples: int | None) -> dict[str, Metric]:
        chosen = default_metrics(self._facts(samples, reference=False))
        if not chosen and self.settings.judge is None:
            raise UserError("metrics must be given where the data have nothing to compare answers with, got none")
        return labels_of(chosen)

    def _generates(self, argument: str) -> bool:
        return self.sources[argument].model is not None

    @cached_property
    def _reading(self) -> Reading:
        """What metrics ask of the models that answer."""
        return Reading(self.settings, tuple(self.metrics.values()), self.sources)

    def _facts(self, samples: int | None, *, reference: bool) -> Facts:
        rewards = {"proxy": self.settings.reward, "gold": self.settings.gold}
        return Facts(
            [row.example for row in self.prompts.rows],
            self.prompts.name,
            frozenset(name for name, reward in rewards.items() if reward is not None),
            tokens=self._generates("answers"),
            reference=reference,
            redraws=False,
            samples=samples,
        )

    def _check_needs(self, samples: int | None) -> None:
        # Of a file, tokens are missed first.
        compared = not self._generates("answers") or self._reading.reference() is not None
        facts = self._facts(samples, reference=compared)
        check_needs(list(self.metrics.values()), facts)
        check_given(self.metrics.values(), facts)
        if self.settings.judge is not None:
            check_knows(self.settings.judge, facts.examples or (), facts.where)

    @cached_property
    def _tokenizer(self) -> Any:
        """The policy's; None where answers are texts of a file."""
        model = self.sources["answers"].model
        return None if model is None else model.tokenizer()

    def _scorer(self, reward: Reward) -> TextRewards:
        """Return a reward that is loaded; it reads texts in the tokens of its own model, else of the policy."""
        return scorer_of(reward, None if own_model(reward) else self._tokenizer, self.data.rendering)

    # Stages.

    def _scores(self, ranks: Ranks) -> list[Record]:
        rewards = {"proxy": self.settings.reward, "gold": self.settings.gold}
        given = {name: reward for name, reward in rewards.items() if reward is not None}
        self.scores_of = {
            **self._evaluated(),
            "metrics": {label: described(metric) for label, metric in self.metrics.items()},
            "rewards": {name: described(reward) for name, reward in given.items()},
            **self._reading.identity(),
        }

        def prepared() -> Callable[[Sequence[int]], Sequence[Record]]:
            built = Scoring.built(
                list(self.metrics.values()),
                {name: self._scorer(reward) for name, reward in given.items()},
                ranks.device,
                self._tokenizer,
                frozenset(side for side, source in self.sources.items() if source == DataAnswers("chosen")),
                self._reading.built(self.answered, self.data, self.folder, ranks.device),
            )

            def work(rows: Sequence[int]) -> Sequence[Record]:
                items = [self.items[row] for row in rows]
                sides = {side: built.records(items, side) for side in self.sources}
                return [{side: records[place] for side, records in sides.items()} for place in range(len(items))]

            return work

        return self._stage("scores", self.scores_of, scoring.CHUNK, prepared, ranks)

    def _verdicts(self, ranks: Ranks) -> Sequence[Record]:
        judge = self.settings.judge
        self.verdicts_of: dict[str, Any] = {}
        self._judge_said = ""
        if judge is None:
            return [{} for _ in self.items]
        judge.build(self._tokenizer)
        for model in judge.models():
            model.to(ranks.device)
        self._judge_said = judge.description
        self.verdicts_of = {**self._evaluated(), "judge": judge.description, "fingerprint": judge.fingerprint}
        progress = StageProgress("judging", self.launch.progress)

        def work(rows: Sequence[int]) -> Sequence[Record]:
            items = [self.items[row] for row in rows]
            share = len(items) / sum(len(item.answers) for item in items)
            return judging.judge_items(judge, items, lambda verdicts: progress.advance(share * verdicts))

        try:
            # The judge sees to several requests at a time itself, so one process asks.
            alone = Ranks(ranks.device)
            return self._stage("verdicts", self.verdicts_of, judging.chunk_of(judge), lambda: work, alone, progress)
        finally:
            self._judge_report = dict(judge.report())
            judge.close()

    def _stage(
        self,
        name: str,
        identity: Mapping[str, Any],
        chunk: int,
        prepared: Callable[[], Callable[[Sequence[int]], Sequence[Record]]],
        ranks: Ranks,
        progress: StageProgress | None = None,
    ) -> list[Record]:
        """Return a stage's records: those of the evaluation that has ended here, or else what is done now."""
        again = self.launch.judge_only and name == "verdicts"  # a judge that failed is asked once more
        if not again and (kept := self._kept(name, identity)) is not None:
            return kept
        if self.launch.judge_only and name == "scores":
            raise UserError(
                f"judge_only must keep scores, got {self.folder.path} with those of other answers or metrics; without "
                "judge_only they are scored anew"
            )
        stage = Stage(self.folder.work / name, identity, len(self.items), chunk)
        if ranks.is_first and (changed := stage.begin()):
            print(f"{name} are found anew: {'; '.join(changed)}", file=sys.stderr, flush=True)
        ranks.barrier()
        if stage.left():
            stage.run(prepared(), ranks, progress or StageProgress(name, self.launch.progress and ranks.is_first))
        return list(stage.records())

    def _kept(self, name: str, identity: Mapping[str, Any]) -> list[Record] | None:
        if self.launch.overwrite or not self.folder.complete:
            return None
        if self.folder.stage(name) != json.loads(json.dumps(identity)):
            return None
        parts = ("answers", "baseline") if name == "scores" else ("verdicts",)
        try:
            lines = self.folder.lines(len(self.items))
        except UserError as error:
            raise UserError(f"{error}; give --overwrite to begin anew") from error
        return [{part: line[part] for part in parts if part in line} for line in lines]

    def _evaluated(self) -> dict[str, Any]:
        """Return what all scores and verdicts depend on."""
        return {
            "data": self.prompts.digest,
            "prompts": len(self.items),
            **{side: one.facts for side, one in self.answered.items()},
        }

    # Files.

    def _line(self, item: Item, scores: Record, verdicts: Record) -> dict[str, Any]:
        lengths = {side: [len(text) for text in getattr(item, side)] for side in self.sources}
        where = item.example.metadata.get("source")
        return {
            "row": item.row,
            "key": str(item.example.key),
            "where": where,
            "characters": lengths,
            **scores,
            **verdicts,
        }

    def _about(self) -> dict[str, Any]:
        return {
            **about(self.prompts, self.items, self.answered),
            "settings": self.settings.as_dict(),
            "stages": {"scores": self.scores_of, "verdicts": self.verdicts_of},
        }

    def _write(self, lines: Sequence[Mapping[str, Any]], report: Report) -> None:
        scores, results = b"".join(map(json_line, lines)), json_bytes(report.as_json())
        if not _holds(self.folder.scores, scores):
            self.folder.results.unlink(missing_ok=True)  # until the scores are replaced, it would be of the old ones
            replace_file(self.folder.scores, scores)
        write_text(self.folder.table, markdown(report))
        of_call = {**self.clock.report(), **({"judge": self._judge_report} if self._judge_report else {})}
        write_text(self.folder.times, json.dumps(of_call, indent=2, default=str) + "\n")
        replace_file(self.folder.results, results)
        self.folder.finish()


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False


@contextmanager
def _full_disk(folder: EvaluationFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "Make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Name an output that can be written"
        raise UserError(
            f"output: writing in {folder.path} failed: {error.strerror or error}; what was finished is kept. {advice} "
            "and run the same command again"
        ) from error
