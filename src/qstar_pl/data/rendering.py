"""From turns to the text that a model reads, and from an answer to the text that it should write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.types import Turn

_MARKERS = {"user": "\n\nHuman: ", "assistant": "\n\nAssistant: ", "system": ""}


def dialogue_prompt(turns: Sequence[Turn]) -> str:
    """Return the turns in HH-RLHF's form, open for the answer: "\\n\\nHuman: …\\n\\nAssistant:".

    A system turn stands without a marker.
    """
    return "".join(_MARKERS[turn.role] + turn.content for turn in turns) + "\n\nAssistant:"


@dataclass(frozen=True)
class Template(ABC):
    """How a dialogue becomes text."""

    @property
    @abstractmethod
    def writes_special_tokens(self) -> bool:
        """Whether a rendering may hold names of special tokens that stand for the tokens themselves."""

    @abstractmethod
    def prompt(self, turns: Sequence[Turn]) -> str:
        """Return the text before the answer; its last turn is the user's."""

    @abstractmethod
    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return the text that follows `prompt(turns)` when the assistant says `answer`, without EOS."""


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
        return f" {answer}"


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


@dataclass(frozen=True)
class ChatTemplate(Template):
    """A chat template in Jinja: the one that a tokenizer carries, or another."""

    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    chat_template: str | None = None
    """None: the tokenizer's own."""

    @property
    def writes_special_tokens(self) -> bool:
        """Yes, most chat templates do."""
        return True

    def prompt(self, turns: Sequence[Turn]) -> str:
        """Render the turns with the generation prompt."""
        return self._render(turns, add_generation_prompt=True)

    def completion(self, turns: Sequence[Turn], answer: str) -> str:
        """Return what the template puts after the generation prompt, up to its last EOS.

        Raises:
            UserError: if the rendering of the whole dialogue does not begin with the prompt's, since a model that
                samples after the prompt could then never produce the answer it is trained on.

        """
        prompt = self.prompt(turns)
        whole = self._render([*turns, Turn("assistant", answer)], add_generation_prompt=False)
        if not whole.startswith(prompt):
            raise UserError(
                "tokenizer must have a chat template under which a dialogue with its answer begins with the dialogue "
                f"and its generation prompt; got {whole[-60:]!r} after {prompt[-40:]!r}"
            )
        completion = whole[len(prompt) :]
        eos = self.tokenizer.eos_token
        # White space that a template writes after EOS (ChatML's newline) is never sampled, so never trained on.
        if eos and completion.rstrip().endswith(eos):
            return completion.rstrip().removesuffix(eos)
        return completion

    def _render(self, turns: Sequence[Turn], *, add_generation_prompt: bool) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    messages,
                    chat_template=self.chat_template,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
        except Exception as error:  # a template is a program of its own and raises what it likes
            roles = ", ".join(turn.role for turn in turns)
            raise UserError(f"tokenizer must have a chat template for the turns {roles}: {error}") from error
