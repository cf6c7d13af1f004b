"""What other models answer to the prompts that the policy answers, for metrics that compare."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule

from qstar_pl.distributed.placing import sampling_from
from qstar_pl.models import LanguageModel
from qstar_pl.models.text import completion_texts
from qstar_pl.samplers import PolicySampler
from qstar_pl.types import PromptBatch


class Redrawing:
    """Draws from frozen models, and keeps their texts: each validation of a fit would draw the same ones again."""

    def __init__(self) -> None:
        self._kept: dict[Any, list[str]] = {}

    @torch.no_grad()
    def texts(
        self,
        module: LightningModule,
        other: LanguageModel,
        prompts: PromptBatch,
        sampler: PolicySampler,
        *,
        samples: int,
        seed: int,
    ) -> list[str]:
        """Return the texts [rows] of what a frozen model answers by itself.

        Args:
            module: whose strategy may have sharded the model.
            other: the model.
            prompts: in its own tokens.
            sampler: how it draws.
            samples: answers to each prompt.
            seed: of the draw.

        """
        # Every process holds the same batches each time, so that those with sharded models agree on what is drawn.
        key = (id(other.model), tuple(prompts.keys.tolist()), sampler, samples, seed)
        if key not in self._kept:
            with sampling_from(module, [other.model]) as pace:
                # With one model in both places, π_t's part is what is known of π_θ's already.
                rollout = sampler.draw(prompts, other, other, samples=samples, seed=seed, pace=pace)
            assert other.tokenizer is not None
            self._kept[key] = completion_texts(other.tokenizer, rollout.completion_ids, rollout.completion_mask)
        return self._kept[key]
