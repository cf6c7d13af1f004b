import math

import numpy as np
import pytest
import torch

from qstar_pl.qstar.pareto import fit_generalized_pareto, pareto_smooth

published = pytest.importorskip("arviz_stats.base", reason="arviz-stats is part of the dev extra").array_stats


def log_weights(n: int, k: float, seed: int) -> torch.Tensor:
    """Logarithms of weights whose tail is Pareto of shape k."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(n, generator=generator, dtype=torch.float64)
    return -k * torch.log(uniform)


# Sizes whose tail min(n/5, 3√n) is whole: the paper rounds it up, this implementation of it down.
@pytest.mark.parametrize("n", [30, 200, 4900])
@pytest.mark.parametrize("k", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_published_implementation(n, k, seed):
    raw = log_weights(n, k, seed)
    smoothed, shape = pareto_smooth(raw)
    expected, expected_shape = published.psislw(-np.asarray(raw), axis=-1)  # it takes log-likelihoods, as LOO does
    assert shape == pytest.approx(float(expected_shape), abs=1e-6)
    # The published function returns normalized weights.
    torch.testing.assert_close(smoothed.log_softmax(0), torch.as_tensor(expected).double(), atol=1e-6, rtol=0)


def test_shape_of_a_known_tail_is_recovered():
    assert pareto_smooth(log_weights(200_000, 0.6, 3))[1] == pytest.approx(0.6, abs=0.05)


def test_never_above_the_largest_raw_weight_and_order_is_kept():
    raw = log_weights(500, 0.8, 4)
    smoothed, _ = pareto_smooth(raw)
    assert smoothed.max() <= raw.max() + 1e-12
    assert torch.equal(smoothed.argsort(), raw.argsort())


def test_too_few_or_constant_weights_come_back_unchanged():
    few = torch.randn(10, dtype=torch.float64)
    smoothed, shape = pareto_smooth(few)
    assert torch.equal(smoothed, few)
    assert shape == math.inf
    constant = torch.zeros(100)
    smoothed, shape = pareto_smooth(constant)
    assert torch.equal(smoothed, constant)
    assert shape == -math.inf


def test_fit_of_an_exponential_tail_is_near_zero():
    excesses = (-torch.log(torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))).sort()
    k, sigma = fit_generalized_pareto(excesses.values)
    assert k == pytest.approx(0.0, abs=0.03)
    assert sigma == pytest.approx(1.0, abs=0.05)
