"""HumanEval: Python functions to complete, with tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

_COLUMNS = ("task_id", "prompt", "entry_point", "test")
_SOLUTION = "canonical_solution"


@dataclass(frozen=True)
class HumanEval(Adapter):
    """Rows with `task_id`, `prompt`, `entry_point`, `test`, and perhaps `canonical_solution`.

    The user's turn is the prompt's code exactly as it stands, the answer the canonical solution with its indentation:
    under `PlainRendering` prompt + answer is a program. `metadata` holds `task` = "humaneval" and these columns, for
    rewards that run the tests (`check(entry_point)` behind prompt + answer + test).
    """

    instruction: str = ""
    """Text before the code in the user's turn, e.g. "Complete this function:\\n\\n", for models that take dialogues."""

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.execution import ExecutionReward

        return ExecutionReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; one with an empty prompt or solution is left out."""
        columns = _COLUMNS if row.get(_SOLUTION) is None else (*_COLUMNS, _SOLUTION)
        values = dict(zip(columns, texts(row, columns, where, type(self).__name__), strict=True))
        prompt = self.instruction + values["prompt"] if values["prompt"].strip() else ""
        return single_turn(prompt, values.get(_SOLUTION), None, {"task": "humaneval", "source": where, **values})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        chosen = {} if row.get(_SOLUTION) is None else {"chosen": _SOLUTION}
        return {"prompt": "prompt", **chosen, "tests": "test, entry_point"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return (*_COLUMNS, _SOLUTION)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        return Claim(Confidence.DATASET, cls()) if table.holds(Kind.TEXT, of=_COLUMNS) else None
