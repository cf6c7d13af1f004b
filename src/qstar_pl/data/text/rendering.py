"""Which form dialogues take: the value of `rendering:` in the data's configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qstar_pl.data.text.chat import ChatTemplate
from qstar_pl.data.text.templates import DialogueTemplate, PlainTemplate, Template
from qstar_pl.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Rendering(ABC):
    """Chooses a template for a tokenizer."""

    @abstractmethod
    def template(self, tokenizer: PreTrainedTokenizerBase) -> Template:
        """Return the template to write dialogues with.

        Raises:
            UserError: if the tokenizer does not have what this needs.

        """


@dataclass(frozen=True)
class TokenizerRendering(Rendering):
    """The tokenizer's own chat template where it has one, else HH-RLHF's form: the default."""

    def template(self, tokenizer: PreTrainedTokenizerBase) -> Template:
        """See `Rendering.template`."""
        return ChatTemplate(tokenizer) if tokenizer.chat_template else DialogueTemplate()


@dataclass(frozen=True)
class ChatRendering(Rendering):
    """A chat template; an error where there is none."""

    chat_template: str | None = None
    """Template in Jinja, or a file of one (*.jinja), in place of the tokenizer's own."""

    def template(self, tokenizer: PreTrainedTokenizerBase) -> Template:
        """See `Rendering.template`."""
        if self.chat_template is None:
            if not tokenizer.chat_template:
                raise UserError(
                    "rendering must not be ChatRendering for a tokenizer without a chat template; "
                    "give one as rendering.chat_template"
                )
            return ChatTemplate(tokenizer)
        return ChatTemplate(tokenizer, _text(self.chat_template))


@dataclass(frozen=True)
class DialogueRendering(Rendering):
    """HH-RLHF's form, "\\n\\nHuman: …\\n\\nAssistant:", even if the tokenizer has a chat template."""

    def template(self, tokenizer: PreTrainedTokenizerBase) -> Template:
        """See `Rendering.template`."""
        return DialogueTemplate()


@dataclass(frozen=True)
class PlainRendering(Rendering):
    """The prompt's text alone, which the answer continues: for TL;DR's "TL;DR:", for HumanEval's function heads."""

    def template(self, tokenizer: PreTrainedTokenizerBase) -> Template:
        """See `Rendering.template`."""
        return PlainTemplate()


def _text(template: str) -> str:
    if not template.endswith(".jinja"):
        return template
    try:
        return Path(template).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"rendering.chat_template must be Jinja or a file of it, got {template}: {error}") from error
