"""The gold reward as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from qstar_pl.evaluation.judges.scoring import ScoringJudge
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.rewards import GoldReward
from qstar_pl.tiny_world.gold_formula import has_facts
from qstar_pl.types import Example


@dataclass(frozen=True)
class GoldJudge(ScoringJudge):
    """Prefers the answer with the higher gold reward of the tiny world; see `GoldReward`."""

    heuristic: bool = False
    """Also compare answers to rows of other data, by a stated heuristic of their texts; no measure of helpfulness."""
    expensive: bool = field(default=False, repr=False)
    """Leave it out of the validations within `fit`."""

    @cached_property
    def _reward(self) -> GoldReward:
        return GoldReward(self.heuristic)

    def unknown(self, example: Example) -> str | None:
        """See `Judge.unknown`."""
        if not self.heuristic and not has_facts(example.metadata):
            return "it is no row of the tiny world, which alone has a gold reward"
        return self._reward.unknown(example)

    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float | str]:
        """See `ScoringJudge.scores`."""
        return list(TextRewards(self._reward, None).scores(rows))
