import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from qstar_pl.qstar import EntropyAlpha, ESSBalanceAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.qstar.candidates import first_copies, mix_candidates, normalise_candidates, uncovered_by_candidates

POLICY = [[-3.0, -1.5, -7.0, -4.0], [-60.0, -61.0, -58.5, -59.0]]
TARGET = [[-2.0, -4.5, -3.0, -9.0], [-70.0, -64.0, -66.5, -61.0]]


def as_probabilities(rows: list[list[float]]) -> np.ndarray:
    probs = np.exp(np.array(rows) - np.max(rows, axis=1, keepdims=True))
    return probs / probs.sum(axis=1, keepdims=True)


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(POLICY, dtype=torch.float64), torch.tensor(TARGET, dtype=torch.float64)


def test_without_a_proposal_it_is_the_restriction() -> None:
    policy, _ = tensors()
    np.testing.assert_allclose(normalise_candidates(policy).exp().numpy(), as_probabilities(POLICY), rtol=1e-12)
    mask = torch.tensor([[True, False, True, True], [True, True, False, False]])
    restricted = normalise_candidates(policy, mask=mask).exp()
    expected = as_probabilities(POLICY) * mask.numpy()
    np.testing.assert_allclose(restricted.numpy(), expected / expected.sum(1, keepdims=True), rtol=1e-12)


def test_with_a_proposal_it_is_self_normalized_importance_sampling() -> None:
    policy, target = tensors()
    assert torch.equal(normalise_candidates(policy, policy), torch.full_like(policy, -math.log(4)))
    weights = np.exp(np.array(TARGET) - np.array(POLICY))
    expected = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(normalise_candidates(target, policy).exp().numpy(), expected, rtol=1e-12)


def test_mixture_and_its_diagnostics_by_hand() -> None:
    """α from SciPy on the set, everything else term by term."""
    policy, target = (normalise_candidates(part) for part in tensors())
    mixture = mix_candidates(policy, target, KLSymmetricAlpha(tol=1e-10))
    for row, (p, t) in enumerate(zip(as_probabilities(POLICY), as_probabilities(TARGET), strict=True)):

        def q(alpha: float, p=p, t=t) -> np.ndarray:
            return p**alpha * t ** (1 - alpha) / (p**alpha * t ** (1 - alpha)).sum()

        alpha = brentq(lambda a, p=p, t=t, q=q: float(q(a) @ np.log(p / t)), 0, 1, xtol=1e-14)
        law = q(alpha)
        assert float(mixture.alpha[row]) == pytest.approx(alpha, abs=1e-8)
        np.testing.assert_allclose(mixture.logprobs[row].exp().numpy(), law, rtol=1e-7)
        np.testing.assert_allclose(mixture.log_weights[row].exp().numpy(), p / law, rtol=1e-7)
        assert float(mixture.log_z[row]) == pytest.approx(math.log((p**alpha * t ** (1 - alpha)).sum()), abs=1e-8)
        assert float(mixture.ess_policy[row]) == pytest.approx(1 / (p**2 / law).sum(), rel=1e-7)
        assert float(mixture.ess_target[row]) == pytest.approx(1 / (t**2 / law).sum(), rel=1e-7)
        assert float(mixture.kl_policy[row]) == pytest.approx(float(law @ np.log(law / p)), abs=1e-8)
        assert float(mixture.kl_target[row]) == pytest.approx(float(law @ np.log(law / t)), abs=1e-8)
        assert float(mixture.kl_policy[row]) == pytest.approx(float(mixture.kl_target[row]), abs=1e-7)


@pytest.mark.parametrize("alpha", [FixedAlpha(0.3), EntropyAlpha(), ESSBalanceAlpha(tol=1e-8), KLSymmetricAlpha()])
def test_candidates_that_do_not_count_change_nothing(alpha) -> None:
    mask = torch.tensor([True, True, False, True])
    policy, target = (normalise_candidates(part, mask=mask) for part in tensors())
    whole = mix_candidates(policy, target, alpha)
    fewer = mix_candidates(policy[:, mask], target[:, mask], alpha)
    torch.testing.assert_close(whole.logprobs[:, mask], fewer.logprobs, atol=1e-6, rtol=1e-6)
    assert bool((whole.logprobs[:, ~mask] == -torch.inf).all())
    for name in ("alpha", "log_z", "ess_policy", "ess_target", "kl_policy", "kl_target"):
        torch.testing.assert_close(getattr(whole, name), getattr(fewer, name), atol=1e-6, rtol=1e-6)
    assert bool((whole.log_weights[:, ~mask] == 0).all())


def test_a_target_on_some_candidates_has_no_kl_symmetric_root() -> None:
    """D(q‖π_t) = 0 at every α < 1, so the gap never closes: q becomes π_θ, as `mix_candidates` says."""
    policy, _ = (normalise_candidates(part) for part in tensors())
    target = policy.masked_fill(torch.tensor([True, False, False, True]), -torch.inf).log_softmax(-1)
    mixture = mix_candidates(policy, target, KLSymmetricAlpha())
    assert mixture.alpha.tolist() == [1.0, 1.0]
    torch.testing.assert_close(mixture.logprobs, policy)
    half = mix_candidates(policy, target, FixedAlpha(0.5))
    torch.testing.assert_close(half.logprobs, target)
    torch.testing.assert_close(half.log_z, 0.5 * (policy[:, 1:3].logsumexp(-1)))
    assert half.ess_policy.tolist() == [0.0, 0.0]


def test_first_copies() -> None:
    ids = torch.tensor([[[3, 4, 1], [3, 4, 9], [3, 4, 1], [3, 5, 1], [3, 4, 0]], [[2, 2, 2]] * 5])
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[0, 1, 2] = mask[0, 4, 2] = False  # two answers "3 4", with different pads behind them
    assert first_copies(ids, mask).tolist() == [[True, True, False, True, False], [True] + [False] * 4]


def test_uncovered_mass_counts_an_answer_once() -> None:
    logprobs = torch.tensor([[0.5, 0.5, 0.25], [0.6, 0.4, 1e-9]], dtype=torch.float64).log()
    first = torch.tensor([[True, False, True], [True, True, True]])
    assert uncovered_by_candidates(logprobs, first).tolist() == pytest.approx([0.25, 0.0], abs=1e-12)
