"""The tiny world's programs as rows of HumanEval, whose tests a sandbox runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.humaneval import HumanEval
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.types import Example


@dataclass(frozen=True)
class EmbeddedPrograms(Adapter):
    """Rows in HumanEval's form, made on the spot; nothing is read, so `path` is free to be any name."""

    size: int = 64
    """Number of rows."""
    seed: int = 0
    """Another seed gives other rows."""

    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row]]:
        """Yield `size` rows."""
        for where, row in TinyWorld(("code",), self.size, self.seed).rows(path, split):
            tests = "".join(f"    {test}\n" for test in row["test_list"])
            yield (
                where,
                {
                    "task_id": where,
                    "prompt": row["prompt"] + "\n",
                    "entry_point": row["entry_point"],
                    "canonical_solution": f"    {row['chosen']}\n",
                    "test": f"def check(candidate):\n{tests}",
                },
            )

    def example(self, row: Row, where: str) -> Example:
        """See `HumanEval.example`."""
        return HumanEval().example(row, where)
