import math

import pytest
import torch
from reference import mixtures
from reference.pairs import random_pair

from qstar_pl.errors import UserError
from qstar_pl.qstar import ess, geometric_mixture, log_ess


def test_matches_probability_sums() -> None:
    p, q = random_pair(5, 40)
    expected = [mixtures.effective_size(a, b) for a, b in zip(*map(mixtures.as_probabilities, (p, q)), strict=True)]
    torch.testing.assert_close(ess(p, q), torch.tensor(expected, dtype=torch.float64))
    torch.testing.assert_close(ess(p, p), torch.ones(5, dtype=torch.float64))


def test_two_tokens_by_hand() -> None:
    p, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.8, 0.2]).log()
    assert abs(ess(p, q).item() - 1 / (0.25 / 0.8 + 0.25 / 0.2)) < 1e-6


def test_support() -> None:
    half, none = math.log(0.5), -torch.inf
    p = torch.tensor([[half, half, none], [0.0, none, none], [half, half, none]])
    q = torch.tensor([[half, none, half], [half, half, none], [half, half, none]])
    torch.testing.assert_close(ess(p, q), torch.tensor([0.0, 0.5, 1.0]))
    assert log_ess(p, q)[0] == none


def test_lambda_outside_the_unit_interval() -> None:
    policy, target = random_pair(4, 30, seed=3)
    for alpha in (0.2, 0.5, 0.9):
        q = geometric_mixture(policy, target, alpha).logprobs
        rows = list(zip(*map(mixtures.as_probabilities, (policy, target)), strict=True))
        lam = [[mixtures.log_partition(p, t, x) for x in (alpha, 2 - alpha, -alpha)] for p, t in rows]
        here, above, below = torch.tensor(lam, dtype=torch.float64).T
        torch.testing.assert_close(log_ess(policy, q), -here - above)
        torch.testing.assert_close(log_ess(target, q), -here - below)


def test_is_what_importance_weights_show() -> None:
    p, q = random_pair(1, 8, seed=1, scale=0.7)
    tokens = torch.multinomial(q[0].exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    weights = (p[0] - q[0]).exp()[tokens]
    assert abs(weights.sum() ** 2 / (weights**2).sum() / len(tokens) - ess(p, q)[0]) < 0.01


def test_what_is_no_distribution_is_refused() -> None:
    good = torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log()
    nan = good.index_fill(0, torch.tensor([1]), torch.nan)
    for wrong in (torch.tensor([[0.5, 0.5], [0.5, 0.3]]).log(), nan, good - torch.tensor([[0.0], [3.0]])):
        with pytest.raises(UserError, match=r"target_logprobs must be log-probabilities .* in row 1$"):
            ess(wrong, good)
        with pytest.raises(UserError, match=r"proposal_logprobs must be log-probabilities .* in row 1$"):
            ess(good, wrong)
