"""Who is right, as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from qstar_pl.evaluation.judges.scoring import ScoringJudge
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.rewards import FinalAnswerReward
from qstar_pl.rewards.final_answer import FIELDS
from qstar_pl.types import Example


@dataclass(frozen=True)
class FinalAnswerJudge(ScoringJudge):
    """Prefers the answer whose final answer is the reference's; if both or neither are right, they tie."""

    fields: tuple[str, ...] = FIELDS
    """See `FinalAnswerReward`."""
    unmarked: bool = True
    """See `FinalAnswerReward`."""
    expensive: bool = field(default=False, repr=False)
    """Leave it out of the validations within `fit`."""

    @cached_property
    def _reward(self) -> FinalAnswerReward:
        return FinalAnswerReward(self.fields, self.unmarked)

    def unknown(self, example: Example) -> str | None:
        """See `Judge.unknown`."""
        return None if self._reward.references(example) else f"it has no {' or '.join(self.fields)}"

    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float | str]:
        """See `ScoringJudge.scores`."""
        return list(TextRewards(self._reward, None).scores(rows))
