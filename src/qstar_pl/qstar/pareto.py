"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25(72))."""

import math

import torch
from torch import Tensor

FEWEST = 21
"""Weights that have a tail: a fifth of them, rounded up, are the five values that a fit needs."""


def fit_generalized_pareto(excesses: Tensor) -> tuple[float, float]:
    """Fit (k, σ) of a generalized Pareto law to sorted positive `excesses` [n] (Zhang & Stephens 2009).

    k is their quasi-Bayesian estimate, then shrunk toward ½ with the weight of 10 observations as in the PSIS paper
    (appendix C), since tails are fitted to few points. k > 0 is a heavy tail; moments of order above 1/k are infinite.
    """
    x = excesses.double()
    n = x.numel()
    candidates = 30 + int(math.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    # Candidates for θ = −k/σ, as spread by the prior of Zhang & Stephens; given θ, the likelihood is greatest at one k.
    grid = torch.arange(1, candidates + 1, dtype=torch.float64, device=x.device)
    theta = 1 / x[-1] + (1 - torch.sqrt(candidates / (grid - 0.5))) / (3 * quartile)
    shape = torch.log1p(-theta.unsqueeze(1) * x).mean(1)
    profile = n * (torch.log(-theta / shape) - shape - 1)
    theta_mean = (profile.softmax(0) * theta).sum()  # the mean of the posterior, which is the profile likelihood
    k = torch.log1p(-theta_mean * x).mean()
    sigma = -k / theta_mean  # before the shrinkage, which only k is subject to
    k = (k * n + 0.5 * 10) / (n + 10)
    return float(k), float(sigma)


def pareto_smooth(log_weights: Tensor) -> tuple[Tensor, float]:
    """Return (smoothed log-weights [n], k̂): the largest weights replaced by order statistics of a fitted tail.

    The M = ⌈min(n/5, 3√n)⌉ largest raw weights become quantiles (z−½)/M of the fitted law, never above the largest raw
    weight. k̂ < 0.7 says that the smoothed estimate can be trusted; above, no treatment can save the weights. With
    fewer than `FEWEST` weights, or a constant tail, there is nothing to fit: the weights come back unchanged and k̂ is
    inf (few) or −inf (constant).
    """
    n = log_weights.numel()
    if n < FEWEST:
        return log_weights, math.inf
    tail = math.ceil(min(0.2 * n, 3 * math.sqrt(n)))
    values, order = log_weights.double().sort()
    highest = values[-1]
    if highest == -torch.inf:  # all weights are 0
        return log_weights, -math.inf
    values = values - highest  # k does not depend on the scale, and exp cannot overflow
    cutoff = values[-tail - 1].clamp(min=math.log(torch.finfo(torch.float64).tiny))
    excesses = values[-tail:].exp() - cutoff.exp()
    # Also given up where the smallest tail value equals the cutoff: its excess is 0, and the fit needs positive ones.
    if excesses[-1] - excesses[0] < torch.finfo(torch.float64).eps or excesses[0] <= 0:
        return log_weights, -math.inf if excesses[-1] - excesses[0] < torch.finfo(torch.float64).eps else math.inf
    k, sigma = fit_generalized_pareto(excesses)
    quantile = (torch.arange(tail, dtype=torch.float64, device=values.device) + 0.5) / tail
    # The inverse distribution function, σ/k ((1−p)^−k − 1), and its limit for k → 0.
    if abs(k) < torch.finfo(torch.float64).eps:
        smoothed = -sigma * torch.log1p(-quantile)
    else:
        smoothed = sigma * torch.expm1(-k * torch.log1p(-quantile)) / k
    values[-tail:] = torch.log(smoothed + cutoff.exp()).clamp(max=0.0)
    result = torch.empty_like(values)
    result[order] = values + highest  # back in the order of the argument
    return result.to(log_weights.dtype), k
