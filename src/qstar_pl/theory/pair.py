"""q* for a given pair of models, as measured in training, next to a float64 reference.

Contexts are the prefixes of answers drawn from q*. In each, both models give their next-token distribution; these two
determine α*, ESS_θ/ESS_t and the probability that a token drafted by π_θ is accepted under q* (1 − TV(π_θ, q*),
Leviathan et al. 2023). The first column runs the float32 models, as training does, and the project's solver with its
default tolerance. The second is an independent computation: both models in float64, α* by plain bisection of
Σ_y q(y)(log π_θ − log π_t) = 0. `sharpened` multiplies the logits of both models: trained models are nearly certain of
most tokens, which is the hardest case for a solver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.data.batches.collate import pad
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.errors import UserError, argument_called
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.models.tokenizers import vocabulary_difference
from qstar_pl.qstar import AlphaStrategy, KLSymmetricAlpha, ess, geometric_mixture, kl_divergence
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import Example, PromptBatch, Rollout, Turn


@dataclass(frozen=True)
class PairStatistics:
    """Means over the visited contexts."""

    alpha_mean: float
    alpha_std: float
    ess_ratio: float
    """Mean ESS_θ over mean ESS_t."""
    acceptance: float
    """Mean of Σ_y min(π_θ(y), q*(y))."""
    chernoff: float
    """Mean of −log Z(α*), nats per token."""
    kl_gap: float
    """Mean of |D(q*‖π_θ) − D(q*‖π_t)|, nats per token."""
    kl_policy_target: float
    """Mean of D(π_θ‖π_t), nats per token."""


def pair_statistics(policy_logprobs: Tensor, target_logprobs: Tensor, alpha: Tensor) -> PairStatistics:
    """Compute the statistics of N contexts from both log-distributions [N, vocab] and α [N], in their dtype."""
    mixture = geometric_mixture(policy_logprobs, target_logprobs, alpha)
    q = mixture.logprobs
    # 1 − TV(π_θ, q) = Σ_y min(π_θ(y), q(y)).
    overlap = torch.minimum(policy_logprobs, q).exp().sum(-1)
    kl_policy = kl_divergence(q, policy_logprobs)
    kl_target = kl_divergence(q, target_logprobs)
    ess_policy, ess_target = ess(policy_logprobs, q), ess(target_logprobs, q)  # [N]: weights π_θ/q and π_t/q under q
    return PairStatistics(
        alpha_mean=float(alpha.mean()),
        alpha_std=float(alpha.std()),
        ess_ratio=float(ess_policy.mean() / ess_target.mean()),
        acceptance=float(overlap.mean()),
        chernoff=float(-mixture.log_z.mean()),
        kl_gap=float((kl_policy - kl_target).abs().mean()),
        kl_policy_target=float(kl_divergence(policy_logprobs, target_logprobs).mean()),
    )


def bisect_alpha(policy_logits: Tensor, target_logits: Tensor, steps: int = 60) -> Tensor:
    """Return α* [N] by bisection of Λ'(α) = E_q[log π_θ − log π_t], which increases in α; needs full support.

    Takes logits [N, vocab] or log-probabilities; logits are better. Everything is relative to the mode, so that neither
    a tail of 1e-30 nor the difference of two nearly equal distributions is lost in rounding, as in log-probabilities.
    """
    # [N, 1]: the mode of the mixture with α = 1/2, at which both are set to 0.
    top = (policy_logits + target_logits).argmax(-1, keepdim=True)
    policy = policy_logits - policy_logits.gather(-1, top)
    target = target_logits - target_logits.gather(-1, top)
    log_ratio = policy - target
    # With unnormalized logits, E_q[log π_θ − log π_t] = E_q[log_ratio] − shift, where
    # shift = log Σ e^policy − log Σ e^target. A plain difference of two logsumexps cancels where they are close:
    # (a) similar models: Σ e^policy / Σ e^target = 1 + growth. The clamp only keeps other rows finite.
    growth = (target.softmax(-1) * log_ratio.clamp_max(1).expm1()).sum(-1)
    small_mask = (log_ratio.amax(-1) < 1) & (growth.abs() < 0.5)
    plain = policy.logsumexp(-1) - target.logsumexp(-1)
    # (b) both nearly certain of the mode: its term is e⁰ = 1, so log Σ e^x = log1p of the other terms.
    others = torch.ones_like(policy, dtype=torch.bool).scatter_(-1, top, False)
    tails = [torch.where(others, x.exp(), 0.0).sum(-1) for x in (policy, target)]
    certain_mask = torch.maximum(*tails) < 0.5
    plain = torch.where(certain_mask, tails[0].log1p() - tails[1].log1p(), plain)
    shift = torch.where(small_mask, growth.log1p(), plain)
    # 60 halvings of [0, 1] reach 2⁻⁶⁰, below the spacing of float64 at α = 1/2.
    low = shift.new_zeros(shift.shape)
    high = torch.ones_like(low)
    for _ in range(steps):
        middle = (low + high) / 2
        q = (target + middle.unsqueeze(-1) * log_ratio).softmax(-1)
        below = (q * log_ratio).sum(-1) < shift
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def context_logits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rollout: Rollout) -> Tensor:
    """Return the next-token logits [contexts, vocab] of `model` at every position of the answers."""
    logits = LanguageModel(model, tokenizer).completion_logits(
        rollout.prompts, rollout.prompt_index, rollout.completion_ids, rollout.completion_mask
    )
    return logits[rollout.completion_mask]


def prompt_batch(prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> PromptBatch:
    """Encode texts as they are, with the special tokens that the tokenizer puts in front, and no chat template."""
    encoded = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    for prompt, ids in zip(prompts, encoded, strict=True):
        if not ids:
            raise UserError(f"prompt must hold at least one token, got {prompt!r}")
    ids, mask = pad(encoded, tokenizer.pad_token_id, left=True)
    examples = tuple(Example(prompt_key(prompt), (Turn("user", prompt),)) for prompt in prompts)
    return PromptBatch(ids, mask, torch.tensor([example.key for example in examples]), examples)


@dataclass(frozen=True)
class Contexts:
    """The outputs of both models in the visited contexts: logits [contexts, vocab] of (π_θ, π_t)."""

    logits: tuple[Tensor, Tensor]
    """As the models run in training."""
    exact_logits: tuple[Tensor, Tensor]
    """With weights and activations in float64."""

    def sharpened(self, factor: float) -> Contexts:
        """Return the contexts of models with all logits multiplied by `factor`."""
        (policy, target), (exact_policy, exact_target) = self.logits, self.exact_logits
        return Contexts((factor * policy, factor * target), (factor * exact_policy, factor * exact_target))


@torch.no_grad()
def visit(
    policy_name: str, target_name: str, prompts: Sequence[str], samples: int, max_new_tokens: int, seed: int
) -> Contexts:
    """Draw answers from q* and run both models at every token of them."""
    policy_source, target_source = Pretrained(policy_name), Pretrained(target_name)
    with argument_called("policy", inside="name"):
        tokenizer = policy_source.tokenizer()
    with argument_called("target", inside="name"):
        difference = vocabulary_difference(tokenizer, target_source.tokenizer())
    if difference:
        raise UserError(f"target must share the policy's vocabulary, got {difference}")
    with argument_called("policy", inside="name"):
        policy = policy_source.load()
    with argument_called("target", inside="name"):
        target = target_source.load()
    batch = prompt_batch(prompts, tokenizer)
    rollout = GeometricSampler(alpha=KLSymmetricAlpha(), max_new_tokens=max_new_tokens).draw(
        batch, LanguageModel(policy, tokenizer), LanguageModel(target, tokenizer), samples=samples, seed=seed
    )
    run = context_logits(policy, tokenizer, rollout), context_logits(target, tokenizer, rollout)
    policy, target = policy.double(), target.double()  # in place: the float32 logits must exist by now
    return Contexts(run, (context_logits(policy, tokenizer, rollout), context_logits(target, tokenizer, rollout)))


def compare(contexts: Contexts, alpha: AlphaStrategy = KLSymmetricAlpha()) -> tuple[PairStatistics, PairStatistics]:
    """Return (measured, float64 reference)."""
    policy, target = (values.log_softmax(-1) for values in contexts.logits)
    # The solver gets what training gives it (float32); the statistics of its α are then computed in float64.
    exponent = alpha(policy, target).double()
    measured = pair_statistics(policy.double().log_softmax(-1), target.double().log_softmax(-1), exponent)
    exact_policy, exact_target = (values.log_softmax(-1) for values in contexts.exact_logits)
    return measured, pair_statistics(exact_policy, exact_target, bisect_alpha(*contexts.exact_logits))
