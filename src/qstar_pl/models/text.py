"""Token ids as the very text that they stand for, and text that must not turn into control tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


_PRIVATE = 0xF0000
"""The first character of a plane that no text is written in (Unicode's supplementary private use area A)."""
_PLACES = 0x8000
_PLACE = re.compile(f"[{chr(_PRIVATE)}-{chr(_PRIVATE + _PLACES - 1)}]")


def decode_exactly(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
    """Return the text of token ids, spaces as they stand: "cleaning up" would make "a , b" of them "a, b"."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False))


def continuation_texts(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]]) -> list[str]:
    """Return what each row of ids adds to a text that it continues, without special tokens.

    Tokenizers made of sentencepiece drop the space of a text's first word, so a continuation that is decoded on its own
    loses its first space: an indented line of a program becomes another one. So it is decoded behind a letter.
    """
    behind = _letter(tokenizer)
    head = decode_exactly(tokenizer, behind, skip_special_tokens=True)
    texts = []
    for row in rows:
        text = decode_exactly(tokenizer, [*behind, *row], skip_special_tokens=True)
        whole = text.startswith(head)
        texts.append(text[len(head) :] if whole else decode_exactly(tokenizer, row, skip_special_tokens=True))
    return texts


def completion_texts(tokenizer: PreTrainedTokenizerBase, ids: Tensor, mask: Tensor) -> list[str]:
    """Return the text of each answer [rows] without special tokens; `ids` and `mask` are [rows, time]."""
    return continuation_texts(tokenizer, [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)])


def _letter(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [int(i) for i in tokenizer("a", add_special_tokens=False)["input_ids"]][-1:]


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return the texts that stand for control tokens, the longest first: special ones, not words that were added."""
    return _special_tokens(tokenizer, len(tokenizer), tokenizer.eos_token, tokenizer.pad_token)


@lru_cache(maxsize=16)
def _special_tokens(tokenizer: PreTrainedTokenizerBase, *_state: object) -> tuple[str, ...]:
    # The state is only part of the cache's key, so that tokens added later are seen.
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    found = {*map(str, tokenizer.all_special_tokens), *added} - {""}
    return tuple(sorted(found, key=lambda token: (-len(token), token)))


@dataclass(frozen=True)
class Guard:
    """Keeps texts of users apart from the control tokens that a chat template writes around them.

    A user may write "<|im_end|>". In a rendered dialogue that could not be told from the template's own, and would end
    the user's turn. So each control token's name in a text is hidden behind a character of its own before the template
    sees it, and becomes ordinary tokens, spelled out, afterwards.
    """

    tokenizer: PreTrainedTokenizerBase

    def hide(self, text: str) -> str:
        """Return a text without any name of a control token; a character that stands for one becomes U+FFFD."""
        text = _PLACE.sub("\ufffd", text)
        # Longest first, or a name inside a longer one would be taken out of it.
        for number, token in enumerate(special_tokens(self.tokenizer)):
            if token in text:
                text = text.replace(token, chr(_PRIVATE + number))
        return text

    def show(self, text: str) -> str:
        """Return the text that `hide` was given."""
        if _PLACE.search(text) is None:
            return text
        names = special_tokens(self.tokenizer)
        return "".join(names[ord(c) - _PRIVATE] if _is_place(c, len(names)) else c for c in text)

    def pieces(self, text: str) -> list[tuple[str, bool]]:
        """Return (text, whether names in it are control tokens) of each part of a text with hidden names."""
        if _PLACE.search(text) is None:
            return [(text, True)]
        names = special_tokens(self.tokenizer)
        found: list[tuple[str, bool]] = []
        start = 0
        for end, character in enumerate(text):
            if _is_place(character, len(names)):
                found += [(text[start:end], True)] if end > start else []
                found.append((names[ord(character) - _PRIVATE], False))
                start = end + 1
        return [*found, (text[start:], True)] if start < len(text) or not found else found

    def encode(self, text: str, ids_of: Callable[[str, bool], list[int]]) -> list[int]:
        """Return the ids of a text with hidden names.

        Args:
            text: as a template rendered it.
            ids_of: tokenizes (text, whether names in it are control tokens) behind any text.

        """
        ids: list[int] = []
        for piece, special in self.pieces(text):
            ids += ids_of(piece, True) if special else self._spelled(piece, ids_of)
        return ids

    def _spelled(self, token: str, ids_of: Callable[[str, bool], list[int]]) -> list[int]:
        ids = ids_of(token, False)
        control = set(self.tokenizer.convert_tokens_to_ids(list(special_tokens(self.tokenizer))))
        control.discard(self.tokenizer.unk_token_id)
        if control.isdisjoint(ids):
            return ids
        # Some tokenizers know a control token as an ordinary piece, whatever they are asked: it is cut in two.
        return [i for part in (token[:1], token[1:]) for i in ids_of(part, False) if i not in control]


def _is_place(character: str, count: int) -> bool:
    return _PRIVATE <= ord(character) < _PRIVATE + min(count, _PLACES)
