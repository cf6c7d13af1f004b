"""How far advantages, weights and prices of divergence take the expected gradient from the true one, by enumeration.

Run as `python benchmarks/bias.py` (or `just bench bias`); some seconds on one CPU core. The pair of models is that of
the tests, which hold the figures in the docstrings to these.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from reference.enumerated import COUNT, LENGTH, MASK, Behavior, Pair, error, off_direction, pull  # type: ignore[import-not-found]

from qstar_pl.qstar.advantages import Advantage, GroupNormalised, LeaveOneOut, MeanBaseline, RawReward
from qstar_pl.qstar.kl_estimators import K1, K2, K3, KLEstimator
from qstar_pl.qstar.kl_placement import InLoss, InReward, KLPlacement
from qstar_pl.qstar.weights import (
    ClippedWeights,
    MaskedWeights,
    RawWeights,
    SelfNormalisedWeights,
    TruncatedWeights,
    Unweighted,
    WeightTreatment,
)

ANSWERS = 4


def gradient(pair: Pair, behavior: Behavior, advantage: Advantage, weights: WeightTreatment) -> torch.Tensor:
    """Return the expected policy gradient of four answers to one prompt."""
    log_weights = pair.policy_logprobs - behavior.logprobs

    def coefficients(answers: torch.Tensor, prompt_index: torch.Tensor) -> torch.Tensor:
        mask, rewards = MASK[answers], torch.zeros(len(answers), LENGTH, dtype=torch.float64)
        rewards[:, 0] = pair.rewards[answers]
        treated = weights(log_weights[answers], mask, prompt_index)
        return treated * advantage.estimate(rewards, None, mask, prompt_index)

    found: torch.Tensor = pair.expected_gradient(behavior, ANSWERS, coefficients)
    return found


def price_gradient(
    pair: Pair, behavior: Behavior, placement: KLPlacement, estimator: KLEstimator, weights: WeightTreatment
) -> torch.Tensor:
    """Return the expected gradient of the price of a nat."""
    treated = weights(pair.policy_logprobs - behavior.logprobs, MASK, torch.arange(COUNT))
    log_ratio = torch.where(MASK, pair.policy_logprobs - pair.reference_logprobs, 0.0)
    prices = placement.token_prices(estimator, log_ratio).sum(-1, keepdim=True)
    logits = pair.policy.clone().requires_grad_()
    logprobs = pair.logprobs_of(logits)
    term = placement.loss(estimator, logprobs, pair.reference_logprobs, treated, MASK)
    surrogate = (treated * prices).mul(logprobs).sum(-1) + term
    found: torch.Tensor = torch.autograd.grad((behavior.law * surrogate).sum(), logits)[0].flatten()
    return found


def show(name: str, found: torch.Tensor, truth: torch.Tensor) -> None:
    """Print share, error, and what no learning rate can mend."""
    print(f"{name:62}{pull(found, truth):8.2f}{error(found, truth):8.2f}{off_direction(found, truth):8.2f}")


def main() -> None:
    pair, near = Pair(), Pair(drift=0.35)
    laws = {"policy": 1.0, "KL-symmetric": None, "target": 0.0}
    print(f"{'':62}{'share':>8}{'error':>8}{'turned':>8}")
    for name, alpha in laws.items():
        behavior = pair.behavior(alpha)
        for advantage in (RawReward(), MeanBaseline(), LeaveOneOut(), GroupNormalised()):
            found = gradient(pair, behavior, advantage, RawWeights())
            show(f"q = {name}: {type(advantage).__name__}", found, pair.reward_gradient())
        for weights in (
            Unweighted(),
            RawWeights(level="token"),
            ClippedWeights(),
            MaskedWeights(),
            SelfNormalisedWeights(),
            TruncatedWeights(),
        ):
            label = f"q = {name}: {type(weights).__name__}, {weights.level}"
            show(label, gradient(pair, behavior, LeaveOneOut(), weights), pair.reward_gradient())
    behavior = near.behavior(None)
    for weights in (RawWeights(), ClippedWeights()):
        for placement in (InReward(), InLoss(), InLoss(differentiate_weights=True), InLoss(level="token")):
            for estimator in (K1(), K2(), K3()):
                label = f"price, {type(weights).__name__}: {type(estimator).__name__} {placement}"
                found = price_gradient(near, behavior, placement, estimator, weights)
                show(label.replace("differentiate_weights", "d"), found, near.kl_gradient())


if __name__ == "__main__":
    main()
