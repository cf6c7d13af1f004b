"""Every sequence that two small models can produce, with its exact probability in float64.

Nothing here is shared with the package: one full forward pass per prefix (no cache, no padding, no batch), the exponent
by a bracketing root finder from SciPy on Λ', truncation by Python lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import chi2
from transformers import PreTrainedModel

Probabilities = np.ndarray
Predict = Callable[[tuple[int, ...]], Probabilities]
Mix = Callable[[Probabilities, Probabilities], Probabilities]


def predictor(model: PreTrainedModel, prompt: list[int]) -> Predict:
    """Next-token probabilities after `prompt` and a prefix."""

    def predict(prefix: tuple[int, ...]) -> Probabilities:
        with torch.no_grad():
            ids = torch.tensor([prompt + list(prefix)])
            logits = model(ids, attention_mask=torch.ones_like(ids)).logits[0, -1].double().numpy()
        return np.exp(logits - logsumexp(logits))

    return predict


def geometric(alpha: float | None) -> Mix:
    """The geometric mixture with a given exponent of the policy, or with the KL-symmetric one (None)."""

    def mix(policy: Probabilities, target: Probabilities) -> Probabilities:
        a, b = np.log(policy), np.log(target)

        def tilted(exponent: float) -> Probabilities:
            terms = exponent * a + (1 - exponent) * b
            return np.exp(terms - logsumexp(terms))

        if alpha is not None:
            return tilted(alpha)
        return tilted(brentq(lambda exponent: float(tilted(exponent) @ (a - b)), 0.0, 1.0, xtol=1e-14))

    return mix


def arithmetic(policy: Probabilities, target: Probabilities) -> Probabilities:
    """The mixture that must not pass for the geometric one."""
    return (policy + target) / 2


def policy_only(policy: Probabilities, target: Probabilities) -> Probabilities:
    return policy


def target_only(policy: Probabilities, target: Probabilities) -> Probabilities:
    return target


def truncated(mix: Mix, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Mix:
    """Temperature, then top-k, then top-p of a mixture."""

    def law(policy: Probabilities, target: Probabilities) -> Probabilities:
        q = [p ** (1 / temperature) for p in mix(policy, target)]
        q = [p / math.fsum(q) for p in q]
        order = sorted(range(len(q)), key=lambda i: -q[i])
        kept = order[: top_k or len(order)]
        mass = math.fsum(q[i] for i in kept)
        if top_p is not None:
            chosen: list[int] = []
            while math.fsum(q[i] / mass for i in chosen) < top_p:
                chosen.append(kept[len(chosen)])
            kept, mass = chosen, math.fsum(q[i] for i in chosen)
        return np.array([q[i] / mass if i in kept else 0.0 for i in range(len(q))])

    return law


def enumerate_sequences(
    policy: Predict, target: Predict, mix: Mix, length: int, eos: Iterable[int]
) -> dict[tuple[int, ...], float]:
    """Return the probability of every answer of at most `length` tokens; an EOS id ends it."""
    ends, laws, finished = set(eos), {(): 1.0}, {}
    for step in range(length):
        grown: dict[tuple[int, ...], float] = {}
        for prefix, probability in laws.items():
            for token, share in enumerate(mix(policy(prefix), target(prefix))):
                answer = (*prefix, token)
                closed = token in ends or step + 1 == length
                if share > 0:
                    (finished if closed else grown)[answer] = probability * float(share)
        laws = grown
    assert abs(math.fsum(finished.values()) - 1) < 1e-9
    return finished


def g_test(counts: dict[tuple[int, ...], int], law: dict[tuple[int, ...], float], least: float = 5.0) -> float:
    """Return the p-value of 2 Σ O log(O/E) against χ²; answers expected less than `least` times share one cell.

    An answer that the law cannot produce gives 0.
    """
    if any(answer not in law for answer in counts):
        return 0.0
    total = sum(counts.values())
    cells = [(counts.get(answer, 0), total * p) for answer, p in law.items()]
    rare = [cell for cell in cells if cell[1] < least]
    cells = [cell for cell in cells if cell[1] >= least]
    if rare:
        cells.append((sum(o for o, _ in rare), sum(e for _, e in rare)))
    statistic = 2 * math.fsum(o * math.log(o / e) for o, e in cells if o)
    return float(chi2.sf(statistic, len(cells) - 1))


def kl(p: dict[tuple[int, ...], float], q: dict[tuple[int, ...], float]) -> float:
    """D(p‖q) between two laws of answers: n samples of p reject q once 2 n D is far above the degrees of freedom."""
    return math.fsum(mass * math.log(mass / q[answer]) for answer, mass in p.items())
