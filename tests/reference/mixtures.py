"""Mixtures and exponents by brute force in float64: NumPy sums on the support, SciPy's root finder, dense grids."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor


def as_probabilities(logprobs: Tensor) -> np.ndarray:
    return np.exp(logprobs.double().numpy())


def mixture(policy: np.ndarray, target: np.ndarray, alpha: float) -> tuple[np.ndarray, float]:
    """Probabilities of one row's mixture and its Z, by powers instead of logarithms (0**0 never occurs: 0 < α < 1)."""
    powers = policy**alpha * target ** (1 - alpha)
    return powers / powers.sum(), float(powers.sum())


def kl(p: np.ndarray, q: np.ndarray) -> float:
    held = p > 0
    if np.any(q[held] == 0):
        return float("inf")
    return float(np.sum(p[held] * np.log(p[held] / q[held])))


def effective_size(target: np.ndarray, proposal: np.ndarray) -> float:
    held = target > 0
    if np.any(proposal[held] == 0):
        return 0.0
    return float(1 / np.sum(target[held] ** 2 / proposal[held]))


def log_partition(policy: np.ndarray, target: np.ndarray, alpha: float) -> float:
    """Λ(α) on the common support, for any real α."""
    held = (policy > 0) & (target > 0)
    exponents = alpha * np.log(policy[held]) + (1 - alpha) * np.log(target[held])
    return float(exponents.max() + np.log(np.exp(exponents - exponents.max()).sum()))


def kl_gap(policy: np.ndarray, target: np.ndarray, alpha: float) -> float:
    q, _ = mixture(policy, target, alpha)
    return kl(q, policy) - kl(q, target)


def log_ess_ratio(policy: np.ndarray, target: np.ndarray, alpha: float) -> float:
    q, _ = mixture(policy, target, alpha)
    return float(np.log(effective_size(policy, q) / effective_size(target, q)))


def second_moment(policy: np.ndarray, target: np.ndarray, alpha: float) -> float:
    """Σ π_θ² A² ‖e_y − π_θ‖² / q_α with A = log π_t/π_θ, token by token."""
    q, _ = mixture(policy, target, alpha)
    total = 0.0
    for y in range(len(policy)):
        score = -policy.copy()
        score[y] += 1
        total += policy[y] ** 2 * np.log(target[y] / policy[y]) ** 2 * float(score @ score) / q[y]
    return total


def root(criterion: Callable[[np.ndarray, np.ndarray, float], float], policy: Tensor, target: Tensor) -> Tensor:
    """Roots in (0, 1) of `criterion` for each row of [rows, V] log-probabilities."""
    found = []
    for p, t in zip(as_probabilities(policy), as_probabilities(target), strict=True):
        found.append(brentq(lambda alpha, p=p, t=t: criterion(p, t, alpha), 1e-9, 1 - 1e-9, xtol=1e-13))
    return torch.tensor(found, dtype=torch.float64)


def grid_minimum(
    function: Callable[[np.ndarray, np.ndarray, float], float], policy: Tensor, target: Tensor, steps: int
) -> Tensor:
    """The point of a grid of `steps` + 1 points over [1e-9, 1 − 1e-9] where `function` is least, per row."""
    grid = np.linspace(1e-9, 1 - 1e-9, steps + 1)
    rows = zip(as_probabilities(policy), as_probabilities(target), strict=True)
    return torch.tensor([grid[int(np.argmin([function(p, t, x) for x in grid]))] for p, t in rows], dtype=torch.float64)
