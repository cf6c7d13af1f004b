"""Forward passes of a model, and how its batches must be padded and cached so that each row gets what it gets alone."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.gpt2_steps import GPT2Steps
from qstar_pl.models.inputs import fill_masked, pack, position_ids, read_by_head

CACHES = ("past_key_values", "cache_params", "state")
"""What models call their memory of the tokens read so far: attention's keys and values, Mamba's and RWKV's state."""


@dataclass(frozen=True)
class Reading:
    """What a probe of the weights has shown; see `probe`."""

    padding: Literal["left", "right"]
    """left: pads may stand before a prompt, where masks and positions keep them out. right: only behind the answer,
    where a causal model does not look; rows are shifted to that end before they are read."""
    cache: bool
    """Whether what was read of a prompt can be kept, repeated for several answers and continued token by token. If
    not, whole sequences are read again for every token: as exact, and slower."""


class Reader:
    """Calls one model with those arguments that its forward takes."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Look at the model's signature.

        Args:
            model: a language model, or a classifier on top of one.

        """
        self.model = model
        self._names = set(inspect.signature(type(inside(model)).forward).parameters)
        self._steps: GPT2Steps | None = None
        """A shorter way, where there is one."""
        self._cache = next((name for name in CACHES if name in self._names), None)

    def inputs(self, ids: Tensor, mask: Tensor | None, positions: Tensor | None) -> dict[str, Any]:
        """Return the arguments for a batch [rows, length] as far as the model takes them."""
        given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "use_cache": False}
        return {name: value for name, value in given.items() if name in self._names}

    def padded(self, ids: Tensor, mask: Tensor, padding: str) -> dict[str, Any]:
        """Return the arguments for sequences that `mask` [rows, length] parts from pads on either side.

        With right padding the rows are shifted: values then stand where `inputs.unpack` finds them.
        """
        if padding == "left":
            return self.inputs(fill_masked(ids, mask), mask, position_ids(mask))
        # Behind the tokens, pads need no mask, and plain positions are right.
        return self.inputs(pack(ids, mask), None, None)

    def last(self, count: int, ids: Tensor) -> dict[str, int | Tensor]:
        """Return the argument that spares the output head all but the last `count` columns of `ids` [rows, columns].

        Nothing, if the model has none. Places, not their number: of a number a model takes a view of its states, and
        PyTorch multiplies a view with weights that are frozen row by row, which reads them once for each row. There may
        be more of them, see `read_by_head`.
        """
        if "logits_to_keep" not in self._names:
            return {}
        kept, columns = read_by_head(count, ids), ids.shape[1]
        return {"logits_to_keep": kept if kept == columns else torch.arange(-kept, 0, device=ids.device)}

    def begin(self, ids: Tensor, mask: Tensor | None, positions: Tensor) -> tuple[Tensor, Any]:
        """Read prompts; return the logits [rows, vocabulary] behind them, and the cache (None: there is none)."""
        self._steps = GPT2Steps.of(self.model)
        if self._steps is not None and self._steps.fits(None):
            logits, cache = self._steps.begin(ids, mask, positions)
            return logits[:, -1], cache
        arguments = {**self.inputs(ids, mask, positions), **self.last(1, ids), "use_cache": True}
        output = self.model(**arguments)
        return output.logits[:, -1], None if self._cache is None else getattr(output, self._cache, None)

    def step(self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Read k more tokens [rows, k] of every row; return the logits [rows, k, vocabulary] and the cache."""
        assert self._cache is not None, "a model without a cache has nothing to continue"
        if self._steps is not None and self._steps.fits(cache):
            return self._steps.step(ids, mask, positions, cache), cache
        # A state knows no columns: pads were kept out of it when they were read.
        mask = mask if self._cache == CACHES[0] else None
        arguments = {
            **self.inputs(ids, mask, positions),
            **self.last(ids.shape[1], ids),
            "use_cache": True,
            self._cache: cache,
        }
        output = self.model(**arguments)
        return output.logits[:, -ids.shape[1] :], getattr(output, self._cache)


def inside(model: nn.Module) -> nn.Module:
    """Return the model that a wrapper around it calls: torch.compile's and ours take any arguments, and name none."""
    inner = model.adapted if isinstance(model, AdaptersOff) else getattr(model, "_orig_mod", None)
    return inside(inner) if isinstance(inner, nn.Module) else model
