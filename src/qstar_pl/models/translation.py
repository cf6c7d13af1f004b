"""One tokenizer's ids in another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from qstar_pl.models.endings import turn_end_id
from qstar_pl.models.text import decode_exactly, special_tokens

FEW = 8
"""So many tokens, or one in a hundred, may be in one of two vocabularies alone, and both are still one tokenizer."""


@dataclass(frozen=True)
class Translation:
    """Turns what a policy has read and written into the ids of a model with a tokenizer of its own.

    Two tokenizers with the same ordinary tokens, but for a few, are one with other control tokens or ids: each id is
    then translated by its token's text, so that the model reads the very tokens that were sampled. Between others, and
    around a token that the other lacks, the text is encoded anew, stretch by stretch between control tokens. Control
    tokens keep their place in either case: a token becomes its namesake; BOS, EOS and an end of turn become the token
    of the same role; any other is spelled out, as text.
    """

    source: PreTrainedTokenizerBase
    target: PreTrainedTokenizerBase
    ordinary: Mapping[int, int] | None
    """The target's id of each ordinary id that it has, where both are one tokenizer but for a few tokens; else None."""
    control: Mapping[int, int | None]
    """The target's id of each of the source's control ids; None where it has none."""

    @classmethod
    def between(cls, source: PreTrainedTokenizerBase, target: PreTrainedTokenizerBase) -> Translation:
        """Compare two tokenizers, once."""
        mine, theirs = (_ordinary(tokenizer) for tokenizer in (source, target))
        # Token texts, not ids, tell whether two tokenizers are one.
        alike = len(mine.keys() ^ theirs.keys()) <= max(FEW, len(mine) // 100)
        ordinary = {mine[token]: theirs[token] for token in mine if token in theirs} if alike else None
        return cls(source, target, ordinary, _control(source, target))

    def ids(self, ids: Sequence[int]) -> list[int]:
        """Return the target's ids of a whole sequence, prompt and answer, behind a BOS where its texts have one."""
        found: list[int] = []
        stretch: list[int] = []
        for token in ids:
            if token in self.control:
                found += [*self._text(stretch), *self._control_token(token)]
                stretch = []
            else:
                stretch.append(token)
        found += self._text(stretch)
        bos = self.target.bos_token_id
        # Whether the target's own texts begin with BOS is seen in what it makes of one.
        begins = bos is not None and list(self.target("a")["input_ids"])[:1] == [bos]
        return [bos, *found] if begins and found[:1] != [bos] else found

    def _text(self, stretch: Sequence[int]) -> list[int]:
        if not stretch:
            return []
        if self.ordinary is not None and all(token in self.ordinary for token in stretch):
            return [self.ordinary[token] for token in stretch]
        return self._encoded(decode_exactly(self.source, stretch))

    def _control_token(self, token: int) -> list[int]:
        found = self.control[token]
        return [found] if found is not None else self._encoded(decode_exactly(self.source, [token]))

    def _encoded(self, text: str) -> list[int]:
        encoding = self.target(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return list(encoding["input_ids"])


def _ordinary(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the vocabulary without what was added to it and without special tokens."""
    added = {*map(str, tokenizer.added_tokens_decoder.values()), *special_tokens(tokenizer)}
    return {token: i for token, i in tokenizer.get_vocab().items() if token not in added}


def _control(source: PreTrainedTokenizerBase, target: PreTrainedTokenizerBase) -> dict[int, int | None]:
    known = {name: int(target.convert_tokens_to_ids(name)) for name in special_tokens(target)}
    found: dict[int, int | None] = {
        int(source.convert_tokens_to_ids(name)): known.get(name) for name in special_tokens(source)
    }
    end = turn_end_id(target)
    roles = (
        (source.bos_token_id, target.bos_token_id),
        (turn_end_id(source), target.eos_token_id if end is None else end),
        (source.eos_token_id, target.eos_token_id),
    )
    # Names come first, roles fill in what has no namesake; the end of a turn before EOS, which may be the same token.
    for mine, theirs in roles:
        if mine is not None and found.get(mine) is None:
            found[int(mine)] = theirs
    if source.unk_token_id is not None:
        found[int(source.unk_token_id)] = target.unk_token_id
    return found
