"""Dialogues in the form that a chat template in Jinja gives them, and what such a template does to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qstar_pl.data.text.templates import Template
from qstar_pl.errors import UserError
from qstar_pl.models.endings import turn_end_id
from qstar_pl.models.run_date import CLOCK, dated, run_date
from qstar_pl.models.templates import bounded
from qstar_pl.models.text import Guard
from qstar_pl.models.tokenizers import first_line
from qstar_pl.types import Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THINK, THINK_END = "<think>", "</think>"
_SYSTEM, _FIRST, _REPLY, _LAST = "qsystemq", "qfirstq", "qreplyq", "qlastq"
"""Words that no template knows, to see which of them it writes."""


@dataclass(frozen=True)
class ChatTemplate(Template):
    """A chat template: the one that a tokenizer carries, or another.

    White space around a message is dropped. What users (and answers) write is text: names of control tokens in it are
    hidden from the template (see `Guard`), so that a rendering holds only the template's own; `Guard.encode` reads it.
    `strftime_now` gives the run's date.

    A template may open a block of thought in its generation prompt ("<think>"). The answer then begins inside it: a
    demonstration with "</think>" is its thought and what follows; one without closes the block at once.
    """

    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    chat_template: str | None = None
    """None: the tokenizer's own."""
    _latest: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def writes_special_tokens(self) -> bool:
        """Yes, most chat templates do."""
        return True

    @cached_property
    def end_id(self) -> int | None:
        """The token that the tokenizer's own template writes behind an answer: sampling stops there, too.

        Another template's end of turn stays in the answer, and EOS follows it: the model does not know it as an end.
        """
        own = self.chat_template is None or self.chat_template == self.tokenizer.chat_template
        return turn_end_id(self.tokenizer) if own else None

    @property
    def guard(self) -> Guard:
        """What hides names of control tokens."""
        return Guard(self.tokenizer)

    def shown(self, text: str) -> str:
        """See `Template.shown`: with the names that were hidden."""
        return self.guard.show(text)

    def prompt(self, turns: Sequence[Turn]) -> str:
        """Render the turns with the generation prompt."""
        # The latest is kept: whoever encodes a row asks for its prompt again with each of its answers.
        asked = (tuple(turns), self.tokenizer.chat_template, run_date())
        if self._latest.get("asked") != asked:
            self._latest["rendered"] = self._render(turns, add_generation_prompt=True)
            self._latest["asked"] = asked
        return str(self._latest["rendered"])

    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return what the template puts after the generation prompt, up to the token that ends the answer.

        Raises:
            UserError: if the rendering of the whole dialogue does not begin with the prompt's, since a model that
                samples after the prompt could then never produce the answer it is trained on.

        """
        prompt = self.prompt(turns)
        whole = self._render([*turns, Turn("assistant", answer)], add_generation_prompt=False)
        # Such a template writes <think> where an answer is to be made, and not before one that is given.
        if prompt.rstrip().endswith(THINK) and not whole.startswith(prompt):
            return self._up_to_end(self._behind_thought(prompt, whole, self.guard.hide(answer.strip())))
        if not whole.startswith(prompt):
            raise UserError(
                "tokenizer must have a chat template under which a dialogue with its answer begins with the dialogue "
                f"and its generation prompt; got {whole[-60:]!r} after {prompt[-40:]!r}"
            )
        return self._up_to_end(whole[len(prompt) :])

    @staticmethod
    def _behind_thought(prompt: str, whole: str, answer: str) -> str:
        """Return the answer behind an opened block of thought, and what the template writes behind answers."""
        said = answer.rpartition(THINK_END)[2].strip()
        tail = whole.rpartition(said)[2] if said else ""
        if THINK_END in answer:
            return answer.removeprefix(THINK).lstrip("\n") + tail
        return ("" if prompt.endswith("\n") else "\n") + f"\n{THINK_END}\n\n{answer}{tail}"

    def _up_to_end(self, completion: str) -> str:
        """Cut off the end token and what follows: ChatML's newline is never sampled, so never trained on."""
        ends = [self.tokenizer.eos_token]
        if self.end_id is not None:
            ends.insert(0, str(self.tokenizer.convert_ids_to_tokens(self.end_id)))
        for end in ends:
            before, found, behind = completion.rpartition(end) if end else ("", "", "")
            if found and not behind.strip():
                return before
        return completion

    def _render(self, turns: Sequence[Turn], *, add_generation_prompt: bool) -> str:
        guard = self.guard
        messages = [{"role": turn.role, "content": guard.hide(turn.content.strip())} for turn in turns]
        try:
            template, variables = dated(self.tokenizer.get_chat_template(self.chat_template))
            with bounded(str(self.chat_template or self.tokenizer.chat_template)):
                return str(
                    self.tokenizer.apply_chat_template(
                        messages,
                        chat_template=template,
                        tokenize=False,
                        add_generation_prompt=add_generation_prompt,
                        **variables,
                    )
                )
        except Exception as error:  # a template is a program of its own and raises what it likes
            roles = ", ".join(turn.role for turn in turns)
            raise UserError(
                f"tokenizer must have a chat template for the turns {roles}: {first_line(error)}"
            ) from error

    @cached_property
    def leaves_out(self) -> frozenset[str]:
        """Which turns the template drops without a word: "system", "history", both or none."""
        dropped = set()
        if _SYSTEM not in self._tried(Turn("system", _SYSTEM), Turn("user", _LAST), otherwise=_SYSTEM):
            dropped.add("system")
        history = (Turn("user", _FIRST), Turn("assistant", _REPLY), Turn("user", _LAST))
        rendered = self._tried(*history, otherwise=_FIRST + _REPLY)
        if _FIRST not in rendered or _REPLY not in rendered:
            dropped.add("history")
        return frozenset(dropped)

    @cached_property
    def opens_thought(self) -> bool:
        """Whether the generation prompt ends inside a block of thought."""
        return self._tried(Turn("user", _LAST), otherwise="").rstrip().endswith(THINK)

    @property
    def writes_date(self) -> bool:
        """Whether the template asks what day it is."""
        return CLOCK in f"{self.chat_template or self.tokenizer.chat_template}"

    def _tried(self, *turns: Turn, otherwise: str) -> str:
        try:
            return self.prompt(turns)
        except UserError:  # a template that refuses says so where it meets such rows
            return otherwise


@dataclass
class Dialogues:
    """How many dialogues there are of what templates may drop."""

    rows: int = 0
    system: int = 0
    """With a system turn."""
    earlier: int = 0
    """With turns before the last one, apart from the system's."""

    @classmethod
    def of(cls, dialogues: Iterable[Sequence[Turn]]) -> Dialogues:
        """Count dialogues, each the turns before an answer."""
        counts = cls()
        for turns in dialogues:
            counts.add(turns)
        return counts

    def add(self, turns: Sequence[Turn]) -> None:
        """Count one."""
        self.rows += 1
        if turns:
            system = turns[0].role == "system"
            self.system += system
            self.earlier += len(turns) - system > 1


def remarks(template: Template, dialogues: Dialogues) -> list[str]:
    """Return what a template does to dialogues that their reader would not expect, a line each.

    Args:
        template: any; only chat templates do such things.
        dialogues: that it is to write.

    """
    if not isinstance(template, ChatTemplate):
        return []
    found = []
    if dialogues.system and "system" in template.leaves_out:
        found.append(
            f"warning: the chat template leaves the system message out, in {dialogues.system} of {dialogues.rows} rows"
        )
    if dialogues.earlier and "history" in template.leaves_out:
        found.append(
            f"warning: the chat template leaves earlier turns out, in {dialogues.earlier} of {dialogues.rows} rows"
        )
    if template.opens_thought:
        found.append(f"the chat template opens {THINK}: answers begin inside it, and end it with {THINK_END}")
    if template.writes_date:
        found.append(f"the chat template writes the date: {run_date()} in this run and in those that go on from it")
    return found
