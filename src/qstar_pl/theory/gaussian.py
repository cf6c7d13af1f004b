"""Gaussians in the plane with axes along x and y: the geometric mixture of two is one, and all is in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian without correlation."""

    mean: tuple[float, float]
    sd: tuple[float, float]


def log_z(policy: Gaussian, target: Gaussian, alpha: float) -> float:
    """Return Λ(α) = log ∫ π_θ^α π_t^(1−α), nats, for any real α; inf where the integral is not finite."""
    total = 0.0
    for axis in range(2):
        precision = _precision(policy, target, alpha, axis)
        if precision <= 0:
            return math.inf
        own, other = policy.sd[axis] ** -2, target.sd[axis] ** -2
        distance = policy.mean[axis] - target.mean[axis]
        spread = alpha * math.log(own) + (1 - alpha) * math.log(other) - math.log(precision)
        total += 0.5 * spread - 0.5 * alpha * (1 - alpha) * own * other / precision * distance**2
    return total


def mixture(policy: Gaussian, target: Gaussian, alpha: float) -> Gaussian:
    """Return q_α for α in [0, 1]."""
    mean, sd = [], []
    for axis in range(2):
        precision = _precision(policy, target, alpha, axis)
        weighted = alpha * policy.mean[axis] / policy.sd[axis] ** 2
        weighted += (1 - alpha) * target.mean[axis] / target.sd[axis] ** 2
        mean.append(weighted / precision)
        sd.append(precision**-0.5)
    return Gaussian((mean[0], mean[1]), (sd[0], sd[1]))


def divergence(first: Gaussian, second: Gaussian) -> float:
    """Return D(first‖second), nats."""
    total = 0.0
    for axis in range(2):
        ratio = (first.sd[axis] / second.sd[axis]) ** 2
        distance = ((first.mean[axis] - second.mean[axis]) / second.sd[axis]) ** 2
        total += 0.5 * (ratio + distance - 1 - math.log(ratio))
    return total


def effective_size(policy: Gaussian, target: Gaussian, alpha: float) -> tuple[float, float]:
    """Return (ESS_θ, ESS_t) per sample of q_α; 0 where the weights have no variance."""
    here = log_z(policy, target, alpha)
    return (
        math.exp(-here - log_z(policy, target, 2 - alpha)),
        math.exp(-here - log_z(policy, target, -alpha)),
    )


def symmetric_alpha(policy: Gaussian, target: Gaussian) -> float:
    """Return α* with D(q‖π_θ) = D(q‖π_t); ½ for two equal ones."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        q = mixture(policy, target, middle)
        nearer = divergence(q, policy) < divergence(q, target)
        low, high = (low, middle) if nearer else (middle, high)
    return 0.5 if policy == target else (low + high) / 2


def _precision(policy: Gaussian, target: Gaussian, alpha: float, axis: int) -> float:
    return alpha / policy.sd[axis] ** 2 + (1 - alpha) / target.sd[axis] ** 2
