"""DeepScaleR: competition mathematics with final answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.rows import RowRejected
from qstar_pl.rewards.final_answer import FinalAnswerReward
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example


@dataclass(frozen=True)
class DeepScaleR(Adapter):
    """Rows with `problem`, `answer` (the final one, in LaTeX) and `solution` (which may be empty).

    The demonstration is the solution, or the final answer in a \\boxed{} where there is no solution.
    `metadata["final_answer"]` holds `answer`. A row without an answer is counted and left out.
    """

    instruction: str = ""
    """Text behind the problem, e.g. " Put the final answer in \\boxed{}."."""

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        problem, answer, solution = (
            text.strip() for text in texts(row, ("problem", "answer", "solution"), where, type(self).__name__)
        )
        if not answer:
            raise RowRejected("there is no final answer")
        chosen = solution or f"\\boxed{{{answer}}}"
        prompt = problem + self.instruction if problem else ""
        return single_turn(prompt, chosen, None, {"final_answer": answer, "source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {"prompt": "problem", "chosen": "solution", "final_answer": "answer"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("problem", "answer", "solution")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim competition problems with both a worked solution and a final answer."""
        fits = table.holds(Kind.TEXT, of=("problem", "answer", "solution")) and "messages" not in table.columns
        return Claim(Confidence.DATASET, cls()) if fits else None
