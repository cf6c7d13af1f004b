"""Whether programs pass their tests: one each, and at least one of k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Facts, Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.pass_at_k import pass_at_k
from qstar_pl.rewards.execution import ExecutionReward
from qstar_pl.sandbox import Limits, Outcome

_LIMITS = Limits()


@dataclass(frozen=True)
class ExecutionAccuracy(AnswerMetric):
    """`execution_accuracy`: share of the programs that pass all of their problem's tests, run in the sandbox."""

    bounds = (0.0, 1.0)

    workers: int | None = None
    """Programs at once, at least 1; None: one per processor that this process may use."""
    limits: Limits = _LIMITS
    """What one run of a program may use."""
    expensive: bool = True
    """Leave it out of the validations within `fit`."""

    def __post_init__(self) -> None:
        """Check the options."""
        at_least(1, workers=self.workers)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TESTS})

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {"execution_accuracy": Scores.of(passes(answers, self.workers, self.limits))}


@dataclass(frozen=True)
class PassAtK(AnswerMetric):
    """`pass@k` for each k: mean over prompts of the probability that one of k programs passes all tests.

    Estimated from all programs drawn for a prompt, without bias; see `qstar_pl.evaluation.pass_at_k`.
    """

    bounds = (0.0, 1.0)
    of_shares = True

    k: tuple[int, ...] = (1, 10)
    """Numbers of programs, each at least 1."""
    samples: int | None = None
    """Programs drawn for each prompt, at least the largest k; None: as many as it."""
    workers: int | None = None
    """Programs at once, at least 1; None: one per processor that this process may use."""
    limits: Limits = _LIMITS
    """What one run of a program may use."""
    expensive: bool = True
    """Leave it out of the validations within `fit`."""

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.k:
            raise UserError("k must name at least one number of programs, got none")
        at_least(1, k=min(self.k), workers=self.workers)
        if self.samples is not None and self.samples < max(self.k):
            raise UserError(f"samples must be at least the largest k, got {self.samples} for k={max(self.k)}")

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TESTS})

    def missing(self, facts: Facts) -> str | None:
        """See `Metric.missing`; answers of a file must be enough for the largest k."""
        if facts.samples is not None and facts.samples < max(self.k):
            return f"needs {max(self.k)} answers to a prompt for k={max(self.k)}, got {facts.samples} to each"
        return super().missing(facts)

    @property
    def drawing(self) -> Drawing:
        """See `AnswerMetric.drawing`."""
        return Drawing(samples=self.samples or max(self.k))

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`; per prompt, of those with at least k programs."""
        passed = passes(answers, self.workers, self.limits)
        by_prompt = [[one for one in passed[rows] if one is not None] for rows in answers.of_prompts]
        return {
            f"pass@{k}": Scores.of(
                [pass_at_k(len(own), int(sum(own)), k) if len(own) >= k else None for own in by_prompt], "prompt"
            )
            for k in self.k
        }


def passes(answers: Answers, workers: int | None, limits: Limits) -> list[float | None]:
    """Return 1 for each program [rows] that passes its tests, else 0; None where no test can be run.

    Metrics that read the same answers within the same limits share one run of each program.
    """
    return answers.once((passes, limits), lambda: _run(answers, workers, limits))


def _run(answers: Answers, workers: int | None, limits: Limits) -> list[float | None]:
    runner = _runner(workers, limits)
    judged = [row for row, example in enumerate(answers.examples) if runner.unknown(example) is None]
    found: list[float | None] = [None] * len(answers)
    if judged:
        verdicts = runner.verdicts([answers.examples[row] for row in judged], [answers.texts[row] for row in judged])
        for row, verdict in zip(judged, verdicts, strict=True):
            if verdict.outcome is not Outcome.BROKEN_TESTS:
                found[row] = float(verdict.passed)
    return found


@cache
def _runner(workers: int | None, limits: Limits) -> ExecutionReward:
    """Return what runs programs; metrics with the same limits share its processes."""
    return ExecutionReward(workers, limits=limits)
