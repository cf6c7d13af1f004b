"""Getting verdicts: what needs no judge is settled first."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.comparison import Comparison
from qstar_pl.evaluation.judges.judge import Judge, Progress
from qstar_pl.evaluation.judges.verdict import Verdict
from qstar_pl.types import Example

IDENTICAL = "identical answers"


def check_knows(judge: Judge, examples: Sequence[Example], where: str) -> None:
    """Check, before anything is answered, that a judge knows one of the examples at least.

    Raises:
        UserError: if it knows none; says why.

    """
    if examples and all(judge.unknown(example) is not None for example in examples):
        reason = judge.unknown(examples[0])
        raise UserError(
            f"judge must know the rows, got {type(judge).__name__} for {len(examples)} rows of {where}: {reason}"
        )


def ask(judge: Judge, comparisons: Sequence[Comparison], progress: Progress | None = None) -> list[Verdict]:
    """Return one verdict per comparison, in their order.

    Examples that are `unknown` to the judge have no verdict, and identical answers tie; the judge sees neither.

    Raises:
        ValueError: if the judge does not return one verdict per comparison.

    """
    settled = [_without_judge(judge, comparison) for comparison in comparisons]
    asked = [comparison for comparison, verdict in zip(comparisons, settled, strict=True) if verdict is None]
    if progress is not None and len(asked) < len(comparisons):
        progress(len(comparisons) - len(asked))
    found = judge.compare(asked, progress) if asked else []
    if len(found) != len(asked):
        raise ValueError(
            f"{type(judge).__name__}.compare must return one verdict per comparison, got {len(found)} for {len(asked)}"
        )
    verdicts = iter(found)
    return [next(verdicts) if verdict is None else verdict for verdict in settled]


def _without_judge(judge: Judge, comparison: Comparison) -> Verdict | None:
    if (reason := judge.unknown(comparison.example)) is not None:
        return Verdict(None, reason)
    return Verdict(0.5, IDENTICAL) if comparison.answer == comparison.baseline else None
