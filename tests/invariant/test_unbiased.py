"""The gradient of QStar is the policy gradient, whatever it samples from: 10⁵ answers against an exact enumeration.

The policy is a table of logits by last token. Each of 200 batches of 125 prompts × 4 answers gives one gradient through
the method's own code (draw, weigh, loss), so the 200 are independent and each coordinate of their mean has a z-score.
The smallest p-value over the coordinates, times their number, is compared with 1e-3; seeds are fixed.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from reference.tiny_models import TableModel
from scipy.stats import t as student

from qstar_pl.methods import QStar
from qstar_pl.methods.q_star import policy_gradient
from qstar_pl.models import FromConfig
from qstar_pl.qstar import FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.advantages import Advantage, LeaveOneOut, RawReward
from qstar_pl.qstar.weights import ClippedWeights, RawWeights, Unweighted, WeightTreatment
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler, PolicySampler, Sampler, TargetSampler
from qstar_pl.types import PromptBatch, Rollout, ScoredRollout

VOCAB, LENGTH, EOS, START = 4, 3, 1, 3
BATCHES, PROMPTS, SAMPLES = 200, 125, 4
PRICE = 0.3
BIASED, UNBIASED = 1e-9, 1e-3


def table(seed: int, scale: float = 0.8) -> torch.Tensor:
    return scale * torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


POLICY, TARGET, REFERENCE = table(0), table(1), table(2)
REWARDS = torch.randn(VOCAB**LENGTH, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def answers() -> list[tuple[int, ...]]:
    """All that can be said: EOS ends an answer, and so does its third token."""
    found = {answer[: answer.index(EOS) + 1] if EOS in answer else answer for answer in product(range(VOCAB), repeat=3)}
    return sorted(found)


def reward_of(answer: tuple[int, ...]) -> torch.Tensor:
    return REWARDS[sum(token * VOCAB**place for place, token in enumerate(answer))]


def exact_gradient() -> torch.Tensor:
    """Return the gradient of Σ_y π(y) (r(y) − price · log π(y)/π_init(y)) by enumeration."""
    policy = POLICY.clone().requires_grad_()

    def logprob(logits: torch.Tensor, answer: tuple[int, ...]) -> torch.Tensor:
        laws = logits.log_softmax(-1)
        return torch.stack([laws[a, b] for a, b in zip((START, *answer), answer, strict=False)]).sum()

    objective = torch.zeros((), dtype=torch.float64)
    for answer in answers():
        log_policy, log_reference = logprob(policy, answer), logprob(REFERENCE, answer)
        objective = objective + log_policy.exp() * (reward_of(answer) - PRICE * (log_policy - log_reference))
    return torch.autograd.grad(objective, policy)[0]


class SameSet(LeaveOneOut):
    """The baseline that forgets which answers share a candidate set."""

    def __call__(self, rewards: torch.Tensor, prompt_index: torch.Tensor, set_index: Any = None) -> torch.Tensor:
        return super().__call__(rewards, prompt_index)


class Tabular(QStar):
    """QStar on a table."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(policy=FromConfig(model_type="gpt2"), reward=GoldReward(), gold=None, **kwargs)
        self.table = torch.nn.Parameter(POLICY.clone())

    @property
    def policy_tokens(self) -> TableModel:  # type: ignore[override]
        return TableModel(self.table, eos=(EOS,))

    @property
    def reference_tokens(self) -> TableModel:  # type: ignore[override]
        return TableModel(REFERENCE, eos=(EOS,))


def gradients(sampler: Sampler, advantage: Advantage, weights: WeightTreatment, batches: int = BATCHES) -> torch.Tensor:
    """Return one estimate of the policy gradient [batches, vocab²] per batch."""
    module = Tabular(
        sampler=sampler, advantage=advantage, weights=weights, samples_per_prompt=SAMPLES, kl_coefficient=PRICE
    )
    places = VOCAB ** torch.arange(LENGTH)
    found = []
    for batch in range(batches):
        keys = torch.arange(batch * PROMPTS, (batch + 1) * PROMPTS)
        prompts = PromptBatch(torch.full((PROMPTS, 1), START), torch.ones(PROMPTS, 1, dtype=torch.bool), keys, ())
        rollout: Rollout = sampler.draw(
            prompts, module.policy_tokens, TableModel(TARGET, eos=(EOS,)), samples=SAMPLES, seed=11
        )
        codes = (rollout.completion_ids * places[: rollout.completion_ids.shape[1]]).sum(-1)
        scored = ScoredRollout(rollout, REWARDS[codes], {})
        reference_logprobs = module.reference_logprobs(rollout)
        loss = policy_gradient(module, module.weigh(scored, reference_logprobs), reference_logprobs).loss
        found.append(-torch.autograd.grad(loss, module.table)[0].flatten())
    return torch.stack(found)


def p_value(estimates: torch.Tensor) -> float:
    """Return the Bonferroni-corrected p-value of the largest |t| over the coordinates that answers can reach."""
    exact = exact_gradient().flatten()
    reached = estimates.std(0) > 0
    assert bool((exact[~reached].abs() < 1e-12).all())
    error = (estimates.mean(0) - exact)[reached]
    scores = error / (estimates.std(0)[reached] / len(estimates) ** 0.5)
    return float(2 * student.sf(float(scores.abs().max()), len(estimates) - 1) * len(scores))


def geometric(alpha: float | None, **options: Any) -> GeometricSampler:
    strategy = KLSymmetricAlpha() if alpha is None else FixedAlpha(alpha)
    return GeometricSampler(alpha=strategy, max_new_tokens=LENGTH, **options)


@pytest.mark.parametrize("advantage", [LeaveOneOut(), RawReward()])
@pytest.mark.parametrize(
    "sampler",
    [
        geometric(0.5),
        geometric(None),
        TargetSampler(max_new_tokens=LENGTH),
        PolicySampler(max_new_tokens=LENGTH),
        CandidateSetSampler(max_new_tokens=LENGTH, candidates=3),
    ],
    ids=["half", "kl_symmetric", "target", "policy", "candidate_sets"],
)
def test_the_weighted_gradient_is_the_policy_gradient(sampler: Sampler, advantage: Advantage) -> None:
    assert p_value(gradients(sampler, advantage, RawWeights())) > UNBIASED


@pytest.mark.parametrize(
    "make",
    [
        lambda: gradients(geometric(0.5, top_k=3), LeaveOneOut(), RawWeights()),
        lambda: gradients(geometric(None), LeaveOneOut(), Unweighted()),
        lambda: gradients(geometric(0.5), LeaveOneOut(), RawWeights(level="token")),
        lambda: gradients(geometric(0.5), LeaveOneOut(), ClippedWeights(low=0.9, high=1.1)),
        lambda: gradients(
            CandidateSetSampler(max_new_tokens=LENGTH, candidates=3, answers_per_set=3), SameSet(), RawWeights()
        ),
    ],
    ids=["truncated", "unweighted", "token_level", "clipped", "same_set"],
)
def test_the_test_sees_a_bias(make: Callable[[], torch.Tensor]) -> None:
    assert p_value(make()) < BIASED


def test_temperature_is_covered_by_the_weights() -> None:
    assert p_value(gradients(geometric(0.5, temperature=1.5), LeaveOneOut(), RawWeights())) > UNBIASED
