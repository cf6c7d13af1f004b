"""Closed forms against sums over a fine grid."""

from __future__ import annotations

import math

import pytest
import torch

from qstar_pl.theory.gaussian import Gaussian, divergence, effective_size, log_z, mixture, symmetric_alpha
from qstar_pl.theory.scenes import SCENES

STEP = 0.05
AXIS = torch.arange(-14, 14, STEP, dtype=torch.float64)


def density(law: Gaussian) -> torch.Tensor:
    """Return log density on the grid [x, y]."""
    x, y = (
        -0.5 * ((AXIS - mean) / sd).square() - math.log(sd * math.sqrt(2 * math.pi))
        for mean, sd in zip(law.mean, law.sd, strict=True)
    )
    return x.unsqueeze(1) + y


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("alpha", [0.25, 0.6])
def test_they_equal_sums_over_a_grid(scene: str, alpha: float) -> None:
    policy, target = SCENES[scene]
    a, b = density(policy), density(target)
    raw = alpha * a + (1 - alpha) * b
    total = raw.flatten().logsumexp(0) + 2 * math.log(STEP)
    assert log_z(policy, target, alpha) == pytest.approx(float(total), abs=1e-8)
    q = mixture(policy, target, alpha)
    torch.testing.assert_close(density(q), raw - total, atol=1e-7, rtol=0)
    exact = float(((raw - total).exp() * (raw - total - a)).sum()) * STEP**2
    assert divergence(q, policy) == pytest.approx(exact, abs=1e-8)


def test_effective_sizes_equal_sums_over_a_grid() -> None:
    policy, target = SCENES["near"]
    q = density(mixture(policy, target, 0.6))
    sums = [float((2 * density(law) - q).exp().sum()) * STEP**2 for law in (policy, target)]
    assert effective_size(policy, target, 0.6) == pytest.approx([1 / one for one in sums], rel=1e-7)


def test_equal_laws_are_halfway() -> None:
    law = SCENES["near"][0]
    assert symmetric_alpha(law, law) == 0.5
    assert effective_size(law, law, 0.5) == pytest.approx((1, 1))
