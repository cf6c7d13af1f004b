"""DeepScaleR and MATH: competition mathematics with final answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward


@dataclass(frozen=True)
class DeepScaleR(Adapter):
    """Rows with `problem`, `answer` (the final one, in LaTeX; MATH has none) and `solution` (which may be empty).

    The demonstration is the solution, or the final answer in a \\boxed{} where there is no solution.
    `metadata["final_answer"]` holds `answer`, or what stands in the solution's last \\boxed{}. A row without an answer
    is counted and left out.
    """

    instruction: str = ""
    """Text behind the problem, e.g. " Put the final answer in \\boxed{}."."""

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        names = [name for name in ("problem", "solution", "answer") if name != "answer" or name in row]
        problem, solution, *given = (text.strip() for text in texts(row, names, where, type(self).__name__))
        answer = given[0] if given else _boxed(solution)
        if not answer:
            raise RowRejected("there is no final answer")
        chosen = solution or f"\\boxed{{{answer}}}"
        prompt = problem + self.instruction if problem else ""
        return single_turn(prompt, chosen, None, {"final_answer": answer, "source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        final = "answer" if "answer" in row else "solution, in its last \\boxed{}"
        return {"prompt": "problem", "chosen": "solution", "final_answer": final}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return tuple(name for name in ("problem", "answer", "solution") if name in row)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim competition problems with a worked solution and a final answer, in a column or in a box."""
        fits = table.holds(Kind.TEXT, of=("problem", "solution")) and "messages" not in table.columns
        if "answer" in table.columns:
            fits = fits and table.holds(Kind.TEXT, of=("answer",))
        else:
            fits = fits and table.share("solution", _boxed) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None


def _boxed(solution: str) -> str:
    """Return what stands in the last box of a solution, "" without one."""
    if not isinstance(solution, str) or not re.search(r"\\(boxed|fbox)", solution):
        return ""
    from qstar_pl.rewards.answers.finding import find_answers

    return find_answers(solution, unmarked=False)[0]
