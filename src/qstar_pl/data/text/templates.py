"""From turns to the text that a model reads, and from an answer to the text that it should write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.types import Turn

_MARKERS = {"user": "\n\nHuman: ", "assistant": "\n\nAssistant: ", "system": ""}


def dialogue_prompt(turns: Sequence[Turn]) -> str:
    """Return the turns in HH-RLHF's form, open for the answer: "\\n\\nHuman: …\\n\\nAssistant:".

    A system turn stands without a marker; white space around a turn is dropped.
    """
    return "".join(_MARKERS[turn.role] + turn.content.strip() for turn in turns) + "\n\nAssistant:"


@dataclass(frozen=True)
class Template(ABC):
    """How a dialogue becomes text."""

    @property
    @abstractmethod
    def writes_special_tokens(self) -> bool:
        """Whether a rendering may hold names of special tokens that stand for the tokens themselves."""

    @property
    def end_id(self) -> int | None:
        """The token that ends an answer; None: the tokenizer's EOS."""
        return None

    def shown(self, text: str) -> str:
        """Return a rendering as people are to see it."""
        return text

    @abstractmethod
    def prompt(self, turns: Sequence[Turn]) -> str:
        """Return the text before the answer; its last turn is the user's."""

    @abstractmethod
    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return the text that follows `prompt(turns)` when the assistant says `answer`, without the end token."""


@dataclass(frozen=True)
class DialogueTemplate(Template):
    """HH-RLHF's form, for tokenizers without a chat template. Texts are data: a literal "</s>" stays text."""

    @property
    def writes_special_tokens(self) -> bool:
        """No."""
        return False

    def prompt(self, turns: Sequence[Turn]) -> str:
        """Return "\\n\\nHuman: …\\n\\nAssistant:"; see `dialogue_prompt`."""
        return dialogue_prompt(turns)

    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return a space and the answer, as HH-RLHF writes it."""
        return f" {answer.strip()}"


@dataclass(frozen=True)
class PlainTemplate(Template):
    """The prompt as it stands, without markers: what a model that was never taught dialogues continues."""

    @property
    def writes_special_tokens(self) -> bool:
        """No."""
        return False

    def prompt(self, turns: Sequence[Turn]) -> str:
        """Return the turns' texts with an empty line between them; of a single turn, its text."""
        return "\n\n".join(turn.content for turn in turns)

    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return the answer, with a space before it unless the prompt, or the answer itself, brings white space."""
        apart = self.prompt(turns)[-1:].isspace() or answer[:1].isspace()
        return answer if apart else f" {answer}"
