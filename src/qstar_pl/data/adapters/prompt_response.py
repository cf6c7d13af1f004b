"""Any dataset of questions and answers in text columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.types import Example


@dataclass(frozen=True)
class PromptResponse(Adapter):
    """Rows with a question, perhaps an answer, and perhaps a worse answer; the prompt is one user turn."""

    prompt_field: str = "prompt"
    """Column of the question."""
    response_field: str | None = "completion"
    """Column of the answer (the preferred one where there are two); None where the dataset has prompts only."""
    rejected_field: str | None = None
    """Column of the worse answer; None where the dataset has no comparisons."""
    context_field: str | None = None
    """Column of a text that follows the question after an empty line, where it is not empty (Alpaca's `input`)."""

    def example(self, row: Row, where: str) -> Example:
        """Take the columns; a row with an empty text, or with two equal answers, is left out."""
        columns = (self.prompt_field, self.context_field, self.response_field, self.rejected_field)
        names = [name for name in columns if name is not None]
        found = dict(zip(names, texts(row, names, where, type(self).__name__), strict=True))
        prompt, context, chosen, rejected = (None if name is None else found[name].strip() for name in columns)
        whole = "\n\n".join(text for text in (prompt, context) if text) if prompt else ""
        return single_turn(whole, chosen, rejected, {"source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        prompt = self.prompt_field + (f" + {self.context_field}" if self.context_field else "")
        named = {"prompt": prompt, "chosen": self.response_field, "rejected": self.rejected_field}
        return {role: column for role, column in named.items() if column is not None}
