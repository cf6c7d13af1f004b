"""The tokenizer's ids in vLLM: rows that only pad an embedding cannot be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qstar_pl.errors import UserError

try:
    from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor
except ImportError as error:
    raise UserError(f"vllm must be installed for this processor (pip install 'qstar-pl[vllm]'), got {error}") from error

if TYPE_CHECKING:
    from vllm.config import VllmConfig

NAME = "qstar_vocab"
"""Where the number of ids stands in vLLM's `additional_config`."""


class KnownIdsProcessor(LogitsProcessor):
    """Takes all probability from ids at and above `additional_config["qstar_vocab"]`."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        self._vocab = int(vllm_config.additional_config[NAME])

    def is_argmax_invariant(self) -> bool:
        """Return False: an id that is cut may have been the likeliest."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Keep nothing of requests."""

    def apply(self, logits: Tensor) -> Tensor:
        """Return the scores with −∞ at ids that the tokenizer does not have."""
        logits[:, self._vocab :] = -torch.inf
        return logits
