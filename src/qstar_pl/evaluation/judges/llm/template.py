"""What a judge is asked: messages with places for the prompt and the answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from qstar_pl.evaluation.judges.llm.verdict_forms import PairForm, VerdictForm
from qstar_pl.hashing import digest
from qstar_pl.types import Example, Turn

PLACEHOLDERS: Mapping[str, str] = {
    "prompt": "the prompt; of a dialogue, all of it",
    "answer_1": "of a pair, the answer shown first",
    "answer_2": "of a pair, the answer shown second",
    "answer": "where one answer is scored, that answer",
    "reference": "the data's own answer",
    "fence": "a line that none of these texts holds, to be put around them",
    "first_prompt": "of a dialogue of two questions, the first",
    "first_answer": "its answer, which is part of the prompt",
    "last_prompt": "the second question",
}
"""What stands between braces in a template, and what takes its place."""
PLACE = re.compile(r"\{(\{\w+\})\}|\{(\w+)\}")
"""A placeholder; with two pairs of braces, a word in braces as it is."""
_TWO_QUESTIONS = ("user", "assistant", "user")


@dataclass(frozen=True)
class Template:
    """Messages, and the form of the verdict that they ask for."""

    name: str
    """As the user gave it."""
    messages: tuple[Turn, ...]
    form: VerdictForm

    @property
    def pairwise(self) -> bool:
        """Whether two answers are shown; else one, which is scored."""
        return isinstance(self.form, PairForm)

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the placeholders that it has."""
        found = {match[2] for message in self.messages for match in PLACE.finditer(message.content) if match[2]}
        return frozenset(found & set(PLACEHOLDERS))

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of what it says and how it is read, not of its name."""
        return digest(repr((self.messages, self.form))).hex()

    def lacking(self, example: Example) -> str | None:
        """Return what an example lacks that this template shows, None if nothing."""
        if "reference" in self.names and example.chosen is None:
            return "the judge's template shows a reference, and the example has none"
        dialogue = {"first_prompt", "first_answer", "last_prompt"} & self.names
        if dialogue and tuple(turn.role for turn in example.turns if turn.role != "system") != _TWO_QUESTIONS:
            return "the judge's template is for dialogues of two questions"
        return None

    def filled(self, example: Example, answers: Sequence[str]) -> list[dict[str, str]]:
        """Return the messages of a request, as the protocol has them.

        Each place is filled in one pass, so that braces in an answer are text.

        Args:
            example: one that lacks nothing.
            answers: two, in the order in which they are shown, or the one that is scored.

        """
        questions = [turn.content for turn in example.turns if turn.role != "system"]
        texts = {"prompt": dialogue_text(example.turns), "reference": example.chosen or ""}
        texts |= {"answer": answers[0]} if len(answers) == 1 else {"answer_1": answers[0], "answer_2": answers[1]}
        if len(questions) == len(_TWO_QUESTIONS):
            texts |= dict(zip(("first_prompt", "first_answer", "last_prompt"), questions, strict=True))
        # Half a surrogate pair, which a model can write and UTF-8 cannot hold.
        texts = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
        texts["fence"] = fence(list(texts.values()))

        def place(match: re.Match[str]) -> str:
            return match[1] or texts.get(match[2], match[0])

        return [{"role": one.role, "content": PLACE.sub(place, one.content)} for one in self.messages]


def dialogue_text(turns: Sequence[Turn]) -> str:
    """Return a prompt as a judge reads it: a question as it is, of a dialogue each turn below the name of its role."""
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in turns)


def fence(texts: Sequence[str]) -> str:
    """Return a line that occurs in none of the texts, always the same for the same texts.

    Whoever writes an answer cannot know it beforehand: it depends on every character of all of them.
    """
    for number in count():
        line = f"----- {digest(repr((number, *texts))).hex()} -----"
        if not any(line in text for text in texts):
            return line
    raise AssertionError("unreachable")
