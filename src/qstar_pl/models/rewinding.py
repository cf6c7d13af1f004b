"""Whether a language model can read several tokens at once behind its cache and give some back.

Its weights are tried out on first use, by samplers that need it: those that draw one token at a time never pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import PreTrainedModel

from qstar_pl.models.cache import can_be_cut
from qstar_pl.models.probe import TOKENS, same, sample_rows, undisturbed, works
from qstar_pl.models.sessions import CachedSession
from qstar_pl.types import PromptBatch

if TYPE_CHECKING:
    from qstar_pl.models.language_model import LanguageModel

_KNOWN: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def rewinds(owner: LanguageModel) -> bool:
    """Return whether rows that grow by blocks, give tokens back and grow again get what whole sequences get."""
    if not owner.reading.cache:
        return True  # whole sequences are read anew anyway
    if owner.model not in _KNOWN:
        _KNOWN[owner.model] = True  # for the trial itself, whose session asks this very question
        try:
            _KNOWN[owner.model] = _agrees(owner)
        except BaseException:
            del _KNOWN[owner.model]
            raise
    return _KNOWN[owner.model]


def _agrees(owner: LanguageModel) -> bool:
    rows = sample_rows(owner.model, owner.capabilities.ordinary_ids(TOKENS, owner.tokenizer))

    def compare() -> bool:
        short, long = rows
        pad = short.new_zeros(len(long) - len(short))
        # Two rows, the short one padded on the left; all but their last two tokens are the prompts.
        ids, mask = torch.stack([torch.cat([pad, short]), long]), torch.ones(2, len(long), dtype=torch.bool)
        mask = mask.to(ids.device)
        mask[0, : len(pad)] = False
        session = CachedSession(owner, PromptBatch(ids[:, :-2], mask[:, :-2], torch.arange(2), ()), 1)
        if not can_be_cut(session._cache):
            return False
        # The short row keeps the first of three tokens, the long one two; each then goes on as it does when it is read
        # as a whole.
        first = session.extend(torch.cat([ids[:, -2:], ids[:, -1:]], dim=1))
        session.rewind(torch.tensor([2, 1], device=ids.device))
        second = session.extend(torch.stack([short[[-1, 0]], long[[0, 1]]]))
        # What stands in the rows after the second block, read without a cache.
        whole = [torch.cat([short, short[:1]]), torch.cat([long, long[:2]])]
        expected = [
            owner.read(row[None], torch.ones_like(row[None], dtype=torch.bool), 4)["logits"][0] for row in whole
        ]
        found = [torch.cat([first[0, :1], second[0]]), torch.cat([first[1, :2], second[1]])]
        return all(
            same(_plain(owner, owner.logits(said[-len(own) :])), _plain(owner, own))
            for said, own in zip(expected, found, strict=True)
        )

    with undisturbed(owner.model):
        return works(compare)


def _plain(owner: LanguageModel, logits: Tensor) -> Tensor:
    """Return logits in the model's precision, by which they are compared, without the ids that have none."""
    return logits.nan_to_num(neginf=0.0).to(owner.model.dtype)
