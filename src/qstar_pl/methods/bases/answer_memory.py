"""What a model says of given answers while its weights stay, so that it is asked once.

π_init says the same of held-out answers in every validation of a fit; π_θ in one validation, where the answers of
demonstrations are those of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from torch import Tensor

from qstar_pl.types import PromptBatch

MOST = 64
"""Batches that are remembered, the first ones: as many in every process, since sharded models run in lockstep."""


class AnswerMemory:
    """Keeps log-probabilities of whole batches; those of other rows, or padded otherwise, would differ by rounding."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Tensor] = {}

    def forget(self) -> None:
        """Let go of everything: the weights have changed."""
        self._kept.clear()

    def logprobs(self, prompts: PromptBatch, ids: Tensor, mask: Tensor, find: Callable[[], Tensor]) -> Tensor:
        """Return what `find` returns [prompts, time] for this batch of answers, or has returned for it before.

        Args:
            prompts: of the answers.
            ids: [prompts, time].
            mask: [prompts, time] bool.
            find: asks the model, whose weights are those of the last time.

        """
        key = tuple(_bytes(part) for part in (prompts.prompt_ids, prompts.prompt_mask, ids, mask))
        if (known := self._kept.get(key)) is not None:
            return known
        found = find()
        if len(self._kept) < MOST:
            self._kept[key] = found
        return found


def _bytes(values: Tensor) -> tuple[tuple[int, ...], bytes]:
    return tuple(values.shape), values.cpu().numpy().tobytes()
