"""Rejection sampling: draw, throw away, imitate what is left."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.strategies.keep import AcceptReject, Keep, Kept
from qstar_pl.models.logprobs import rollout_logprobs
from qstar_pl.qstar.advantages import RawReward
from qstar_pl.qstar.kl_estimators import K1
from qstar_pl.qstar.kl_placement import InReward
from qstar_pl.qstar.losses import likelihood_loss
from qstar_pl.qstar.mismatch import OneFactor
from qstar_pl.qstar.weights import Unweighted
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.types import LossReport, PromptBatch, WeightedRollout


class RejectionSampling(RolloutModule):
    """Maximum likelihood on those of π_θ's own answers that were kept.

    1. Draw `samples_per_prompt` answers from q, which is π_θ.
    2. Keep some: so that they are samples of π_t (AcceptReject), or the best by reward (KeepBest).
    3. loss = mean over prompts of the mean over the prompt's kept answers of −Σ_t log π_θ(y_t), in nats per answer. A
       prompt of which nothing was kept adds 0, so a step that keeps nothing has loss 0 and gradient 0.

    In the report an answer's weight is what it has in the loss, 0 if it was not kept, and all advantages are 1. Terms:
    `loss/acceptance` (share of answers kept), `loss/prompts_kept` (share of prompts with any), and those of `keep`.
    The reward is only watched, unless `keep` goes by it.
    """

    def __init__(self, keep: Keep = AcceptReject(), sampler: Sampler = PolicySampler(), **kwargs: Any) -> None:
        """Describe the method.

        Args:
            keep: AcceptReject, KeepBest or KeepAll.
            sampler: q.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(
            sampler=sampler,
            weights=Unweighted(),
            advantage=RawReward(),
            kl_coefficient=0.0,
            kl_estimator=K1(),
            kl_placement=InReward(),
            missing_eos_penalty=0.0,
            mismatch_correction=OneFactor(),
            **kwargs,
        )
        self.keep = keep

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One rollout, one gradient of the likelihood of what was kept."""
        return imitation_step(self, self.keep, batch)


def imitation_step(method: RolloutModule, keep: Keep, prompts: PromptBatch) -> dict[str, Any]:
    """Return what `training_step` must: the steps of `RejectionSampling`, whatever q the method samples from."""
    rollout = method.draw(prompts)
    completions = method.decode(rollout)
    scored = method.score(rollout, completions)
    kept = keep(scored)
    # [rows] → [rows, time]; nothing is clipped, and with advantages of 1 the policy gradient is that of the likelihood.
    weights = torch.where(rollout.completion_mask, answer_weights(kept.mask, len(rollout.prompts)).unsqueeze(-1), 0.0)
    weighted = WeightedRollout(
        scored=scored,
        log_weights=rollout.policy_logprobs - rollout.behavior_logprobs,
        weights=weights,
        clipping=torch.zeros_like(weights),
        advantages=rollout.completion_mask.to(weights.dtype),
    )
    report = kept_likelihood(method, weighted, kept)
    full = method.rollout_report(weighted, report, method.reference_logprobs(rollout), completions)
    tokens = int(rollout.completion_mask[kept.mask].sum())
    return method.step_output(replace(full, tokens=tokens), report.loss)


def answer_weights(kept: Tensor, prompts: int) -> Tensor:
    """Return the weights [rows] whose mean over rows is the mean over prompts of the mean over kept answers."""
    by_prompt = kept.view(prompts, -1).float()  # [prompts, samples]: rows of a prompt are adjacent
    counts = by_prompt.sum(-1, keepdim=True).clamp_min(1.0)  # a prompt with nothing kept: weights 0, not 0/0
    return (by_prompt * by_prompt.shape[1] / counts).flatten()


def kept_likelihood(method: RolloutModule, weighted: WeightedRollout, kept: Kept) -> LossReport:
    """Return the negative log-likelihood of what was kept; only that is run through the model again."""
    rollout = weighted.scored.rollout
    # With nothing kept, the first answer is run at weight 0: ranks that share a gradient all need to have one.
    rows = kept.mask.nonzero().squeeze(-1) if bool(kept.mask.any()) else kept.mask.new_zeros(1, dtype=torch.long)
    mask = rollout.completion_mask[rows]
    logprobs = rollout_logprobs(method.policy_tokens, rollout, rows)
    nats = likelihood_loss(weighted.weights[rows] * logprobs, mask)
    by_prompt = kept.mask.view(len(rollout.prompts), -1)
    terms = {"acceptance": by_prompt.float().mean(), "prompts_kept": by_prompt.any(-1).float().mean()}
    # Divided by all rows, kept or not, as `answer_weights` expects.
    return LossReport(loss=nats.sum() / len(kept.mask), terms={**terms, **kept.terms})
