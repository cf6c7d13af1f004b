"""The tiny world as a dataset: the embedded default, made on the spot from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from qstar_pl.checks import at_least, within
from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.hh_rlhf import HHRLHF
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError
from qstar_pl.tiny_world.rows import MAKERS, shows_good_answer, stream
from qstar_pl.types import Example, Turn

_NOT_METADATA = frozenset({"prompt", "chosen", "rejected"})


@dataclass(frozen=True)
class TinyWorld(Adapter):
    """Invented dialogues, posts with summaries and small programs, with the facts that the gold reward needs.

    Nothing is read, so `path` is free to be any name. All prompts of a dataset are different.
    """

    tasks: tuple[Literal["dialogue", "summary", "code"], ...] = ("dialogue",)
    """Kinds of rows, taken in turn."""
    size: int = 2000
    """Number of rows, over all tasks."""
    seed: int = 0
    """Another seed is another sample of the same world."""
    quality: float | None = None
    """Share of good answers if each row is to have one answer, the demonstration; None for comparisons."""

    def __post_init__(self) -> None:
        if not self.tasks or any(task not in MAKERS for task in self.tasks) or len(set(self.tasks)) < len(self.tasks):
            raise UserError(f"tasks must be different ones of {', '.join(MAKERS)}, got {list(self.tasks)}")
        at_least(1, size=self.size)
        within("[0, 1]", quality=self.quality)

    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row]]:
        """Yield `size` comparisons in their native form, task after task in turn.

        Raises:
            UserError: if `split` is given (the data module parts the rows by prompt), or if `size` asks for more
                different prompts than a task has.

        """
        if split is not None:
            raise UserError(f"split must be left out with TinyWorld, which has only one, got {split}")
        sources = {task: stream(task, self.seed) for task in self.tasks}
        for number in range(self.size):
            task = self.tasks[number % len(self.tasks)]
            row = next(sources[task], None)
            if row is None:
                raise UserError(f"size must be at most {number}, when {task} has no new prompts left, got {self.size}")
            yield f"{path}, {task} {number}", row

    def example(self, row: Row, where: str) -> Example:
        """Convert a comparison, or pick the demonstration out of it where `quality` asks for one."""
        metadata = {key: value for key, value in row.items() if key not in _NOT_METADATA} | {"source": where}
        if row["task"] == "dialogue":
            # Dialogues are rows of HH-RLHF in all but their other columns.
            example = replace(HHRLHF().example(row, where), metadata=metadata)
        else:
            turns = (Turn("user", row["prompt"]),)
            key = prompt_key(dialogue_prompt(turns))
            example = Example(key, turns, row["chosen"], row["rejected"], metadata)
        if self.quality is None:
            return example
        good = shows_good_answer(row["prompt"], self.quality)
        return replace(example, chosen=example.chosen if good else example.rejected, rejected=None)
