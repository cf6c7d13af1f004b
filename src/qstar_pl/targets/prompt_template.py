"""Prompts in another model's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import torch
from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.run_date import dated
from qstar_pl.models.templates import bounded
from qstar_pl.models.text import Guard, decode_exactly, special_tokens
from qstar_pl.types import Example, PromptBatch

PLACE = "{prompt}"


@dataclass(frozen=True)
class PromptTemplate:
    """A text around the policy's prompt, or a chat template for the dialogue's turns.

    The text is encoded anew as a whole, so that it is tokenized as the model met such texts in training. Names of
    special tokens stand for the tokens in the template's part; in the prompt's, the tokens that the policy reads stay
    tokens, and names that somebody wrote stay text.
    """

    text: str
    """Holds {prompt} once, where the policy's rendered prompt goes (cut as the policy's was; its BOS, if it has one,
    moves to the front), or is a chat template in Jinja, which gets `messages` (never cut)."""

    def __post_init__(self) -> None:
        if self.text.count(PLACE) != 1 and not self._is_chat_template:
            raise UserError(
                f"target.prompt_template must hold {PLACE} once or be a chat template in Jinja, got {self.text!r}"
            )

    @property
    def _is_chat_template(self) -> bool:
        return PLACE not in self.text and ("{%" in self.text or "{{" in self.text)

    def apply(self, prompts: PromptBatch, tokenizer: PreTrainedTokenizerBase) -> PromptBatch:
        """Return the prompts rendered by this template and encoded, padded on the left.

        Raises:
            UserError: if a prompt comes out without a token, or the chat template cannot render the dialogue.

        """
        if self._is_chat_template:
            rows = [self._encode(self._render(example, tokenizer), tokenizer) for example in prompts.examples]
        else:
            pairs = zip(prompts.prompt_ids, prompts.prompt_mask, strict=True)
            rows = [self._around(ids[mask].tolist(), tokenizer) for ids, mask in pairs]
        if len(rows) != len(prompts) or not all(rows):
            raise UserError(f"target.prompt_template must give every prompt a token, got {self.text!r}")
        length = max(map(len, rows))
        device, pad = prompts.prompt_ids.device, tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (length - len(row)) + row for row in rows], device=device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = torch.arange(length, device=device) >= length - lengths.unsqueeze(-1)
        return replace(prompts, prompt_ids=ids, prompt_mask=mask)

    def _around(self, ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
        # BOS must stay the first token, before the template's own text.
        bos = ids[:1] if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else []
        return bos + self._encode(self.text.replace(PLACE, _read(ids[len(bos) :], tokenizer)), tokenizer)

    def _render(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> str:
        guard = Guard(tokenizer)
        messages = [{"role": turn.role, "content": guard.hide(turn.content.strip())} for turn in example.turns]
        template, variables = dated(self.text)
        try:
            with bounded(self.text):
                return str(
                    tokenizer.apply_chat_template(
                        messages, chat_template=template, tokenize=False, add_generation_prompt=True, **variables
                    )
                )
        except Exception as error:  # a template is a program of its own and raises what it likes
            raise UserError(f"target.prompt_template must render the dialogue: {error}") from error

    @staticmethod
    def _encode(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        def ids_of(piece: str, special: bool) -> list[int]:
            return list(
                tokenizer(piece, add_special_tokens=False, split_special_tokens=not special, verbose=False)["input_ids"]
            )

        return Guard(tokenizer).encode(text, ids_of)


def _read(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the text of a prompt; names of control tokens that are not the tokens are hidden (see `Guard`)."""
    guard = Guard(tokenizer)
    control = set(tokenizer.convert_tokens_to_ids(list(special_tokens(tokenizer))))
    whole = decode_exactly(tokenizer, ids)
    # As many names in the text as control tokens among the ids: then no name was written by a user.
    if sum(whole.count(token) for token in special_tokens(tokenizer)) == sum(i in control for i in ids):
        return whole  # all names are the tokens; as one text, so that no stretch of it loses a space at its start
    stretches = [list(group) for _, group in groupby(ids, key=control.__contains__)]
    # Control tokens and what lies between them apart, so that names in the latter can be hidden.
    texts = [decode_exactly(tokenizer, stretch) for stretch in stretches]
    return "".join(
        text if stretch[0] in control else guard.hide(text) for text, stretch in zip(texts, stretches, strict=True)
    )
