"""Any dataset of prompts and answers in columns of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.answers import PROMPTS_DIFFER, answered, prompt_turns
from qstar_pl.data.adapters.columns import as_text, need
from qstar_pl.data.adapters.dialogue import dialogue, same
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.adapters.judged import Judged, detect_judgement
from qstar_pl.data.adapters.messages import COLUMNS as DIALOGUES
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.adapters.transcript import is_answered, is_transcript
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

PROMPTS = ("prompt", "question", "query", "instruction", "input", "text", "problem", "inputs")
"""Columns that are taken for the prompt; the first that is there counts."""
RESPONSES = (
    *("response", "solution", "answer", "output", "completion", "generated_solution", "code"),
    *("target", "targets", "ideal", "text"),
)
"""Columns that are taken for the answer; the first that is there counts."""
PAIRS = (
    ("chosen", "rejected"),
    ("response_j", "response_k"),
    ("good_edited_response", "bad_edited_response"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("preferred", "dispreferred"),
)
"""Columns that are taken for the better and the worse answer."""
CONTEXTS = ("context", "passage", "document")
"""Columns that are taken for what a prompt is about."""
HISTORIES = ("history", "context")
"""Columns that are taken for the turns before a prompt, if they hold messages."""
_SPOKEN = (Kind.TEXT, Kind.DIALOGUE)


@dataclass(frozen=True)
class PromptResponse(Judged):
    """Rows with a prompt, perhaps an answer, and perhaps a worse answer.

    A prompt is a text, which becomes the user's turn; a transcript "Human: … Assistant: …", which becomes its turns; or
    a list of messages (see `Messages` for their forms). An answer is a text, or messages: the assistant's alone, or the
    whole dialogue. The context follows the prompt after an empty line; the history is made of turns before it.

    Null, or a column that this row lacks, is absence: of the answer, the worse answer, the context. Left out and
    counted: rows without a prompt, with an empty answer, or with two equal ones.
    """

    prompt_field: str = "prompt"
    """Column of the question."""
    response_field: str | None = "completion"
    """Column of the answer (the preferred one where there are two); None where the dataset has prompts only. The
    prompt's own column, where that holds whole dialogues: their last turn is the answer."""
    rejected_field: str | None = None
    """Column of the worse answer; None where the dataset has no comparisons."""
    context_field: str | None = None
    """Column of a text that belongs to the question, where it is not empty (Alpaca's `input`, Dolly's `context`)."""
    history_field: str | None = None
    """Column of the turns before: messages, or pairs of a question and its answer."""
    answer_required: bool = False
    """Leave rows without an answer out, instead of using their prompts."""

    def example(self, row: Row, where: str) -> Example:
        """Take the columns; see the class."""
        need(row, (self.prompt_field,), where, type(self).__name__)
        prompt = () if self.response_field == self.prompt_field else self._prompt(row, where)
        turns, chosen = self._answer(row, self.response_field, prompt, where)
        if chosen is None and self.answer_required:
            raise RowRejected("there is no answer")
        other, rejected = self._answer(row, self.rejected_field, prompt, where)
        if chosen is not None and rejected is not None and not same(turns, other):
            raise RowRejected(PROMPTS_DIFFER)
        chosen, metadata = self.judged(row, where, chosen)
        turns = turns if turns[:1] and turns[0].role == "system" else (*self.system(row, where), *turns)
        return dialogue_example(turns, chosen, rejected if chosen is not None else None, metadata)

    def _prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        value = row[self.prompt_field]
        if value is None or value in ("", []):
            raise RowRejected("the prompt is empty")
        turns = prompt_turns(value, self.prompt_field, where)
        if not turns[-1].content.strip():
            raise RowRejected("the prompt is empty")
        history = None if self.history_field is None else row.get(self.history_field)
        if history is not None and self.history_field is not None:
            before = dialogue(history, self.history_field, where)
            # Some histories end with the prompt itself.
            turns = before if same(before[-1:], turns[-1:]) else (*before, *turns)
        context = None if self.context_field is None else row.get(self.context_field)
        text = "" if context is None else as_text(context, self.context_field or "", where).strip()
        return (*turns[:-1], Turn("user", f"{turns[-1].content}\n\n{text}")) if text else turns

    def _answer(
        self, row: Row, name: str | None, prompt: Sequence[Turn], where: str
    ) -> tuple[tuple[Turn, ...], str | None]:
        if name is None:
            return tuple(prompt), None
        turns, answer = answered(prompt, row.get(name), name, where)
        asked = row[self.prompt_field]
        # An answer goes on as it stands (an indented line); behind a transcript its marker's space is no part of it.
        marked = isinstance(asked, str) and is_transcript(asked)
        return turns, answer.strip() if marked and answer is not None else answer

    def _columns(self) -> list[str]:
        names = (
            *(self.prompt_field, self.context_field, self.history_field),
            *(self.response_field, self.rejected_field),
        )
        return list(dict.fromkeys([*(name for name in names if name is not None), *self.judging_columns()]))

    def check(self, columns: Collection[str], path: str) -> None:
        """Check that each named column occurs in some row: a name that occurs in none is a mistake, not absence."""
        if columns and (missing := [name for name in self._columns() if name not in columns]):
            raise UserError(
                f"{path}: {type(self).__name__} needs the columns {', '.join(self._columns())}; no usable row has "
                f"{', '.join(missing)}, they have {', '.join(sorted(columns))}"
            )

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        named = (self.history_field, self.prompt_field, self.context_field)
        prompt = " + ".join(name for name in named if name is not None)
        chosen = self.response_field
        if self.response_field == self.prompt_field:
            prompt, chosen = f"{prompt}, up to its last answer", f"{chosen}, the last"
        roles = {"prompt": prompt, "chosen": chosen, "rejected": self.rejected_field}
        return {role: column for role, column in roles.items() if column is not None} | self.judging_fields()

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return self._columns()

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Take the columns by their usual names; see `PROMPTS`, `PAIRS` and `RESPONSES`."""
        candidates = [name for name in PROMPTS if table.holds(*_SPOKEN, of=(name,))]
        pair = next((names for names in PAIRS if table.holds(*_SPOKEN, of=names)), None)
        # Dialogues are prompts only beside a pair of answers or under the name of a context; else they are `Messages`'.
        if not candidates:
            candidates = [name for name in ("context", "trajectory", *DIALOGUES) if table.kind(name) is Kind.DIALOGUE]
            candidates = candidates if pair is not None or "context" in candidates else []
        if not candidates or {"message_id", "parent_id"} <= set(table.columns):  # a tree of messages, one a row
            return None
        prompt = candidates[0]
        # A file may mix rows of two forms: only those with this prompt tell which columns go with it.
        table = table.where(prompt)
        response = _response(table, prompt)
        if response is None and table.kind(prompt) is Kind.TEXT and table.share(prompt, is_answered) > 0.5:
            response = prompt
        options = {"prompt_field": prompt, "response_field": response, "context_field": _context(table, prompt)}
        histories = [name for name in HISTORIES if name not in options.values()]
        options["history_field"] = next((name for name in histories if table.may_hold(name, Kind.DIALOGUE)), None)
        confidence = Confidence.PROMPTS if response is None else Confidence.ANSWERS
        if pair is not None:
            options |= {"response_field": pair[0], "rejected_field": pair[1]}
            confidence = Confidence.PAIRS
        judgement, remarks = detect_judgement(table, [name for name in options.values() if name is not None])
        # A verdict or a score judges one answer; here there are two, or none.
        if pair is not None or response is None:
            judgement = {
                key: value for key, value in judgement.items() if key in ("system_field", "final_answer_field")
            }
            remarks = ()
        unused = [name for name in candidates[1:] if name not in options.values() and name != "text"]
        if unused:
            remarks = (
                *remarks,
                f"{', '.join(unused)} could be the prompt too: --data.adapter=PromptResponse "
                f"--data.adapter.prompt_field={unused[0]}",
            )
        return Claim(confidence, cls(**options, **judgement), remarks)  # type: ignore[arg-type]


def _response(table: Table, prompt: str) -> str | None:
    names = [name for name in RESPONSES if name != prompt]
    return table.first(names, Kind.TEXT, Kind.DIALOGUE, Kind.NUMBER)


def _context(table: Table, prompt: str) -> str | None:
    names = ("input", *CONTEXTS) if prompt == "instruction" else CONTEXTS
    return table.first(names, Kind.TEXT) or next((name for name in names if table.may_hold(name, Kind.TEXT)), None)
