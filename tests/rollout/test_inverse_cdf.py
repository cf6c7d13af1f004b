import numpy as np
import pytest
import torch

from qstar_pl.rollout.inverse_cdf import BLOCK, inverse_cdf

ALMOST_ONE = 1 - 2.0**-53


def pick(probs: list[float], uniform: float) -> int:
    return int(inverse_cdf(torch.tensor([probs]), torch.tensor([uniform], dtype=torch.float64)))


@pytest.mark.parametrize(
    ("probs", "uniform", "token"),
    [
        ([0.25, 0.5, 0.25], 0.0, 0),
        ([0.25, 0.5, 0.25], 0.2499999, 0),
        ([0.25, 0.5, 0.25], 0.25, 1),  # the interval is closed on the left
        ([0.25, 0.5, 0.25], 0.7499999, 1),
        ([0.25, 0.5, 0.25], 0.75, 2),
        ([0.25, 0.5, 0.25], ALMOST_ONE, 2),
        ([0.0, 0.0, 1.0], 0.0, 2),  # u = 0 does not fall on a token without probability
        ([0.0, 1.0, 0.0], ALMOST_ONE, 1),  # nor does u → 1
        ([0.5, 0.0, 0.5], 0.5, 2),
        ([2.0, 2.0], 0.75, 1),  # the sum need not be 1
        ([0.3, 0.3], ALMOST_ONE, 1),
        ([1.0], 0.3, 0),
        ([1.0, 1e-12], ALMOST_ONE, 1),  # beyond float32's last digit of the running sum
    ],
)
def test_scripted(probs: list[float], uniform: float, token: int) -> None:
    assert pick(probs, uniform) == token
    for blocks in (1, 3):  # the same behind whole blocks of tokens without probability, and before them
        zeros = [0.0] * (BLOCK * blocks)
        assert pick([*zeros, *probs], uniform) == token + len(zeros)
        assert pick([*probs, *zeros], uniform) == token


@pytest.mark.parametrize("vocab", [1, 5, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 50257])
def test_equals_a_float64_search(vocab: int) -> None:
    generator = torch.Generator().manual_seed(vocab)
    probs = torch.randn(64, vocab, generator=generator).mul_(3).softmax(-1)
    probs[:, ::3] = 0 if vocab > 1 else 1
    uniforms = torch.rand(64, generator=generator, dtype=torch.float64)
    tokens = inverse_cdf(probs, uniforms)
    cumulative = probs.double().cumsum(-1).numpy()
    for row in range(64):
        point = float(uniforms[row]) * cumulative[row, -1]
        expected = int(np.searchsorted(cumulative[row], point, side="right"))
        # Blocks are summed in float32: a point within 1e-6 of an edge may fall on its other side.
        edge = np.abs(cumulative[row] - point).min() < 1e-6
        assert int(tokens[row]) == expected or edge
        assert probs[row, tokens[row]] > 0


def test_improbable_tokens_keep_their_share() -> None:
    """A float32 running sum cannot tell tokens of 1e-9 beside one of probability 1 apart."""
    probs = torch.full((1, 50257), 1e-9)
    probs[0, 0] = 1.0
    total = 1 + 50256e-9
    uniforms = (1 + (torch.arange(50256, dtype=torch.float64) + 0.5) * 1e-9) / total
    tokens = inverse_cdf(probs.expand(2000, -1), uniforms[::26][:1933].repeat(2)[:2000])
    expected = torch.arange(1, 50257)[::26][:1933].repeat(2)[:2000]
    assert (tokens - expected).abs().max() <= 1  # float32 block sums: an edge may move by a ten-thousandth of a token


def test_extreme_uniforms_never_leave_the_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(200, 777, generator=generator)
    probs[:, -100:] = 0
    for uniform in (0.0, ALMOST_ONE, 1.0):
        tokens = inverse_cdf(probs, torch.full((200,), uniform, dtype=torch.float64))
        assert tokens.max() < 677
        if uniform == 1.0:  # what rounding can make of u → 1: the last token with any probability
            assert (tokens == 676).all()
        assert bool((probs.gather(-1, tokens[:, None]) > 0).all())
