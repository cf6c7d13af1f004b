"""Two models that share their weights, read in one pass: a batch with the rows of both, adapters where they belong."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel

from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.compiling import compiling_now, notice
from qstar_pl.models.freeze import eval_mode
from qstar_pl.models.inputs import check_length
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.models.probe import TOKENS, difference, same, sample_rows, undisturbed, works
from qstar_pl.models.reading import Reading
from qstar_pl.models.row_adapters import Terms, adapting, computing, terms_of, why_not_by_rows
from qstar_pl.models.sessions import CachedSession
from qstar_pl.types import PromptBatch

MOST_ROUNDING = 0.2
"""Difference that a last digit may make; rows of other tokens differ by about 1.4, so they are told apart."""


class StackedModel(AdaptersOff):
    """Reads batches of 2n rows: of the first n as one model does, of the others as the other, in one pass.

    As `AdaptersOff`, it has no weights of its own, is in eval mode and without gradients, and leaves all as it was.
    """

    def __init__(self, shared: nn.Module, first: Terms, second: Terms) -> None:
        """Wrap the weights that both share.

        Args:
            shared: a Hugging Face model, with or without adapters.
            first: what its layers add for the first half of the rows.
            second: and for the second half.

        """
        super().__init__(shared)
        self._forwards = adapting(first, second)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """Those that add something for some of the rows."""
        return tuple(self._forwards)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the models say of their rows."""
        with torch.no_grad(), eval_mode(self.adapted), computing(self._forwards):
            return self.adapted(*args, **kwargs)


class Stacked(LanguageModel):
    """Both models as one language model over twice as many rows."""

    def __init__(self, first: LanguageModel, model: StackedModel) -> None:
        """Wrap `model` such that it is padded, cached and cut as the first of its two models."""
        super().__init__(cast("PreTrainedModel", model), first.tokenizer)
        self._reading = first.reading
        # Weak, since what is known of two models is kept for as long as they live.
        self._first = ref(first.model)

    @property
    def reading(self) -> Reading:
        """See `LanguageModel.reading`; that of one half is that of the other."""
        return self._reading

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`: asked of one half, since trying takes batches that have no halves."""
        first = self._first()
        return first is not None and LanguageModel(first, self.tokenizer).rewinds

    def start_both(self, first: PromptBatch, second: PromptBatch, samples: int) -> DecodeSession:
        """Read each model's prompts; return a session of the first model's rows, followed by the second's."""
        prompts = _joined(first, second)
        check_length(self.capabilities.context, prompts.prompt_mask)
        if compiling_now() is not None:
            notice("the common pass of two models that share their weights is not compiled for decoding")
        return CachedSession(self, prompts, samples)


@dataclass(frozen=True)
class Apart:
    """Two models that share their weights and are read one after the other all the same."""

    why: str
    """Goes behind a colon."""


def stacked(first: NextToken, second: NextToken) -> Stacked | Apart | None:
    """Return two models as one; None: they do not share their weights. Found out once for a pair of models."""
    if not isinstance(first, LanguageModel) or not isinstance(second, LanguageModel):
        return None
    shared = _under(first.model)
    if shared is not _under(second.model) or first.model is second.model:
        return None
    # Kept for as long as a view of the weights lives, which holds them as what is kept does, and by which order it is.
    last = isinstance(second.model, AdaptersOff)
    view, other = (second.model, first.model) if last else (first.model, second.model)
    known = _KNOWN[last].setdefault(view, WeakKeyDictionary())
    if (found := known.get(other)) is None:
        found = known[other] = _stack(first, second, shared)
        if isinstance(found, Apart):
            warnings.warn(
                f"π_θ and π_t share their weights, and take a pass each for a token: {found.why}", stacklevel=2
            )
    return found


_Pairs = WeakKeyDictionary[nn.Module, WeakKeyDictionary[nn.Module, Stacked | Apart]]
_KNOWN: tuple[_Pairs, _Pairs] = (WeakKeyDictionary(), WeakKeyDictionary())


def _stack(first: LanguageModel, second: LanguageModel, shared: nn.Module) -> Stacked | Apart:
    if (why := why_not_by_rows(shared)) is not None:
        return Apart(why)
    if not first.reading.cache or first.reading != second.reading:
        return Apart(f"{first.capabilities.family} keeps no cache of what it has read")
    if first.capabilities != second.capabilities:
        return Apart("they are read with different tokenizers")
    both = Stacked(first, StackedModel(shared, _terms(first.model), _terms(second.model)))
    if not _agree(both, first, second):
        return Apart(f"{first.capabilities.family} does not keep the rows of a batch in their order")
    return both


def _under(model: nn.Module) -> nn.Module:
    return model.adapted if isinstance(model, AdaptersOff) else model


def _terms(model: nn.Module) -> Terms:
    return model.terms if isinstance(model, AdaptersOff) else terms_of(model)


def _agree(both: Stacked, first: LanguageModel, second: LanguageModel) -> bool:
    """Return whether every adapter sees the rows in their order, and a few tokens get what each model says of them."""
    rows = sample_rows(first.model, first.capabilities.ordinary_ids(TOKENS, first.tokenizer))
    ids = torch.stack([rows[-1], rows[-1].flip(0), rows[-1].roll(1)])
    shapes: list[tuple[int, ...]] = []

    def watch(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes.append(tuple(inputs[0].shape[:-1]))

    layers = both.model.layers

    def agrees() -> bool:
        said = both.model(**both.reader.inputs(ids.repeat(2, 1), None, None)).logits
        alone = _read_alone((first, second), ids)
        if all(same(own, row) for own, row in zip(alone, said, strict=True)):
            return True
        # Many layers in half precision can make more of a rounded digit than `same` allows.
        with _rounded(layers):
            rounded = _read_alone((first, second), ids)
        rounding = difference(alone.flatten(0, 1), rounded.flatten(0, 1))
        return rounding < MOST_ROUNDING and difference(alone.flatten(0, 1), said.flatten(0, 1)) < 2 * rounding

    handles = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        with undisturbed(first.model):
            right = works(agrees)
    finally:
        for handle in handles:
            handle.remove()
    # Adapters may add nothing yet, and then the numbers show nothing: experts, e.g., are given tokens in another order.
    expected = ((2 * len(ids), ids.shape[1]), (2 * ids.numel(),), (len(ids), ids.shape[1]), (ids.numel(),))
    return right and all(shape in expected for shape in shapes)


def _read_alone(models: Sequence[LanguageModel], ids: Tensor) -> Tensor:
    return torch.cat([one.model(**one.reader.inputs(ids, None, None)).logits for one in models])


@contextmanager
def _rounded(layers: Sequence[nn.Module]) -> Iterator[None]:
    """Change what layers say by the last digit of its dtype, up or down."""

    def change(module: nn.Module, inputs: tuple[Tensor, ...], said: Tensor) -> Tensor:
        up = torch.arange(said.numel(), device=said.device).view_as(said).mul(2654435761).bitwise_and(64).bool()
        return said * torch.where(up, 1 + torch.finfo(said.dtype).eps, 1 - torch.finfo(said.dtype).eps).to(said.dtype)

    handles = [layer.register_forward_hook(change) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _joined(first: PromptBatch, second: PromptBatch) -> PromptBatch:
    """Return the prompts of both models one behind the other, with as many pads on the left as the longest needs."""
    width = max(one.prompt_ids.shape[1] for one in (first, second))
    ids, masks = (
        torch.cat([pad(values, (width - values.shape[1], 0)) for values in pair])
        for pair in ((first.prompt_ids, second.prompt_ids), (first.prompt_mask, second.prompt_mask))
    )
    return PromptBatch(ids, masks, torch.cat([first.keys, second.keys]), ())
