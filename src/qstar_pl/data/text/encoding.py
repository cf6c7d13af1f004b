"""Token ids of prompts and answers, and what is cut when they are too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.data.text.templates import Template
from qstar_pl.errors import UserError
from qstar_pl.models.text import Guard
from qstar_pl.types import Example, Turn

Ids = NDArray[np.int32]

# Characters of the prompt's end that an answer is tokenized behind: as many as HH-RLHF's "\n\nAssistant:" has.
_CONTEXT = 12
_BREAK = "\n"
"""What the later parts of a text are tokenized behind where the name of a control token divides it."""


@dataclass(frozen=True)
class Encoded:
    """One example as token ids; an answer that the example does not have is None."""

    example: Example
    prompt: Ids
    """[plen]; never empty."""
    chosen: Ids | None
    """[time]; ends with EOS unless it was cut."""
    rejected: Ids | None
    """[time]; ends with EOS unless it was cut."""
    prompt_cut: bool
    """Whether turns or tokens of the prompt were left out."""
    answers_cut: int
    """How many of the answers were cut."""


@dataclass(frozen=True)
class Encoder:
    """Renders and tokenizes examples.

    A prompt longer than `max_prompt_tokens` loses its oldest turns first, down to the last user turn, always in such
    a way that the first turn left (after a system turn, which goes last) is the user's. If even that is too long, its
    tokens are cut on the left; a leading BOS stays. The end of the prompt, which the model continues, is never cut.

    An answer is tokenized in the context of the prompt's end and ends with EOS (or the end of turn that a chat template
    writes, at which sampling stops) exactly once, which counts as a token. An answer longer than
    `max_completion_tokens` is cut on the right and then has no EOS, so that a model does not learn to stop in
    mid-sentence. The answer is never shortened to make room for the prompt, nor the other way round.
    """

    tokenizer: PreTrainedTokenizerBase
    max_prompt_tokens: int
    max_completion_tokens: int
    drop_long_answers: bool = False
    """Leave rows with an answer longer than max_completion_tokens out, instead of cutting it."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """How dialogues become text."""
    _heads: dict[tuple[str, bool], list[int]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tokenizer.eos_token_id is None:
            raise UserError("tokenizer must have an EOS token, got one without")
        for name, least in (("max_prompt_tokens", 1 + len(self._bos)), ("max_completion_tokens", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}")

    @cached_property
    def template(self) -> Template:
        """What `rendering` means for this tokenizer."""
        return self.rendering.template(self.tokenizer)

    @property
    def end_id(self) -> int:
        """The token that ends an answer: what the template writes there, else EOS."""
        found = self.template.end_id
        return int(self.tokenizer.eos_token_id if found is None else found)

    @cached_property
    def _bos(self) -> list[int]:
        """BOS, if the tokenizer puts it before a plain text (a chat template writes its own)."""
        bos = self.tokenizer.bos_token_id
        if bos is None or self.template.writes_special_tokens:
            return []
        return [bos] if list(self.tokenizer("a")["input_ids"])[:1] == [bos] else []

    def encode(self, example: Example) -> Encoded:
        """Tokenize one example.

        Raises:
            RowRejected: if an answer is too long and `drop_long_answers` is set.

        """
        prompt, prompt_cut = self._prompt(example.turns)
        if not prompt:
            raise RowRejected("the prompt has no tokens")
        answers = [self._answer(example.turns, text) for text in (example.chosen, example.rejected)]
        cut = sum(ids is not None and len(ids) > self.max_completion_tokens for ids in answers)
        if cut and self.drop_long_answers:
            raise RowRejected("an answer is longer than max_completion_tokens")
        chosen, rejected = (
            None if ids is None else np.asarray(ids[: self.max_completion_tokens], np.int32) for ids in answers
        )
        return Encoded(example, np.asarray(prompt, np.int32), chosen, rejected, prompt_cut, cut)

    def _prompt(self, turns: tuple[Turn, ...]) -> tuple[list[int], bool]:
        ids: list[int] = []
        for kept in _shortenings(turns):
            ids = self._bos + self._rendered(self.template.prompt(kept), behind="")
            if len(ids) <= self.max_prompt_tokens:
                return ids, len(kept) < len(turns)
        # `ids` is now the shortest form, still too long.
        head = ids[:1] if ids[0] == self.tokenizer.bos_token_id and self.max_prompt_tokens > 1 else []
        return head + ids[len(ids) - (self.max_prompt_tokens - len(head)) :], True

    def _answer(self, turns: tuple[Turn, ...], text: str | None) -> list[int] | None:
        if text is None:
            return None
        context = self.template.prompt(turns)[-_CONTEXT:]
        completion = self.template.completion(turns, text)
        end = self.end_id
        ids = self._rendered(completion, behind=context)
        if end in ids:
            # The answer spells its end out. It is text there: only the end of an answer may be that token.
            ids = [token for token in self._ids_behind(context, completion, special=False) if token != end]
        return [*ids, end]

    def _rendered(self, text: str, *, behind: str) -> list[int]:
        """Return the ids of what a template wrote; names of control tokens that users wrote stay text."""
        if not self.template.writes_special_tokens:
            return self._ids_behind(behind, text, special=False) if behind else self._ids(text, special=False)
        pieces = Guard(self.tokenizer)
        first = [behind]  # for the first piece; later ones stand behind `_BREAK`

        def ids_of(piece: str, special: bool) -> list[int]:
            context = first.pop() if first else _BREAK
            return self._ids_behind(context, piece, special=special) if context else self._ids(piece, special=special)

        return pieces.encode(text, ids_of)

    def _ids_behind(self, context: str, text: str, *, special: bool) -> list[int]:
        # Some tokenizers put a space before whatever text they are given; behind a context they do not.
        key = (context, special)
        if key not in self._heads:
            self._heads[key] = self._ids(context, special=special)
        # Tokens may reach across the border; then the text is tokenized alone.
        head = self._heads[key]
        whole = self._ids(context + text, special=special)
        return whole[len(head) :] if whole[: len(head)] == head else self._ids(text, special=special)

    @cached_property
    def _backend(self) -> Any:
        """What a fast tokenizer calls in the end; None for others, and where a class of its own changes the way there.

        Its answers are the tokenizer's, without the 40 µs that the tokenizer's own layer takes for each text.
        """
        kind = type(self.tokenizer)
        plain = kind.__call__ is PreTrainedTokenizerBase.__call__
        return self.tokenizer.backend_tokenizer if plain and _is_plain(kind) else None

    def _ids(self, text: str, *, special: bool) -> list[int]:
        if (backend := self._backend) is not None:
            # Calls of the tokenizer leave their settings in the backend.
            if backend.truncation is not None:
                backend.no_truncation()
            if backend.padding is not None:
                backend.no_padding()
            if backend.encode_special_tokens == special:
                backend.encode_special_tokens = not special
            return list(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)  # ids without their offsets
        encoding = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not special, verbose=False)
        return list(encoding["input_ids"])


def _is_plain(kind: type) -> bool:
    """Tell whether a tokenizer's class encodes texts as fast tokenizers do."""
    encode = getattr(kind, "_encode_plus", None)
    return issubclass(kind, PreTrainedTokenizerFast) and encode is getattr(
        PreTrainedTokenizerFast, "_encode_plus", kind
    )


def _shortenings(turns: tuple[Turn, ...]) -> Iterator[tuple[Turn, ...]]:
    """Yield the dialogue, then what is left of it as turns are dropped, oldest first."""
    system = tuple(turn for turn in turns[:1] if turn.role == "system")
    yield turns
    for start in range(len(system) + 1, len(turns)):
        if turns[start].role == "user":
            yield (*system, *turns[start:])
    if system:
        yield turns[-1:]
