"""The KL-symmetric exponent of whole answers against a bracketing root finder."""

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import softmax

from qstar_pl.qstar.sequence_alpha import symmetric_sequence_alpha


def test_alpha_is_the_root_of_the_weighted_log_ratio() -> None:
    draws = np.random.default_rng(0)
    policy, target = draws.normal(-30, 1.5, (5, 64)), draws.normal(-30.5, 1.0, (5, 64))
    # Proposals that are neither of the mixtures: without their weights the roots are others, by up to 0.2.
    proposal = 0.5 * policy + 0.5 * target + draws.normal(0, 1.0, (5, 64))
    found = symmetric_sequence_alpha(*map(torch.tensor, (policy, target, proposal)))
    assert found.dtype == torch.float64
    apart = []
    for row in range(5):
        a, b, q = policy[row], target[row], proposal[row]

        def slope(alpha: float, a=a, b=b, q=q) -> float:
            return float(softmax(alpha * a + (1 - alpha) * b - q) @ (a - b))

        assert abs(float(found[row]) - brentq(slope, 0.0, 1.0, xtol=1e-14)) < 1e-9
        apart.append(abs(float(found[row]) - brentq(lambda alpha: slope(alpha, q=0.0), -9.0, 9.0)))
    assert max(apart) > 0.1


def test_without_a_root_alpha_is_the_nearer_end() -> None:
    ratio = torch.tensor([[0.5, 1.0, 2.0], [-0.5, -1.0, -2.0]])
    target = torch.tensor([[-3.0, -4.0, -5.0]]).expand(2, 3)
    alpha = symmetric_sequence_alpha(target + ratio, target, target)
    torch.testing.assert_close(alpha, torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-9)
