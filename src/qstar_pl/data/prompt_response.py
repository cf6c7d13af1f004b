"""Any dataset of questions and answers in text columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qstar_pl.data.adapter import Adapter, Row, RowRejected
from qstar_pl.data.columns import texts
from qstar_pl.data.keys import prompt_key
from qstar_pl.data.reading import read_rows
from qstar_pl.data.rendering import dialogue_prompt
from qstar_pl.types import Example, Turn


@dataclass(frozen=True)
class PromptResponse(Adapter):
    """Rows with a question, an answer and perhaps a worse answer; the prompt is one user turn."""

    prompt_field: str = "prompt"
    """Column of the question."""
    response_field: str = "completion"
    """Column of the answer (the preferred one where there are two)."""
    rejected_field: str | None = None
    """Column of the worse answer; None where the dataset has no comparisons."""

    def rows(self, path: str, split: str | None) -> Iterator[tuple[str, Row]]:
        """Yield (where, row) of the files or of the hub's dataset; see `read_rows`."""
        return read_rows(path, split)

    def example(self, row: Row, where: str) -> Example:
        """Take the columns; a row with an empty text, or with two equal answers, is left out."""
        names = (self.prompt_field, self.response_field, *([self.rejected_field] if self.rejected_field else []))
        prompt, chosen, *others = (text.strip() for text in texts(row, names, where, type(self).__name__))
        rejected = others[0] if others else None
        if not prompt:
            raise RowRejected("the prompt is empty")
        if chosen == rejected:
            raise RowRejected("chosen equals rejected")
        if not chosen or rejected == "":
            raise RowRejected("an answer is empty")
        turns = (Turn("user", prompt),)
        return Example(prompt_key(dialogue_prompt(turns)), turns, chosen, rejected, {"source": where})
