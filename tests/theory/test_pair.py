import dataclasses

import pytest
import torch
from reference import mixtures as brute
from reference.pairs import certain_pair
from scipy.optimize import brentq

from qstar_pl.theory.pair import Contexts, bisect_alpha, compare, pair_statistics, visit


def laws(rows: int = 6, vocab: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(rows, vocab, generator=generator, dtype=torch.float64).mul(1.5).log_softmax(-1) for _ in range(2)
    )


def test_bisection_finds_the_root_of_the_kl_gap():
    policy, target = laws()
    for row, alpha in enumerate(bisect_alpha(policy, target).tolist()):
        p, t = (brute.as_probabilities(logprobs[row]) for logprobs in (policy, target))
        assert brute.kl_gap(p, t, alpha) == pytest.approx(0.0, abs=1e-12)


def test_statistics_equal_a_computation_row_by_row():
    policy, target = laws()
    alpha = bisect_alpha(policy, target)
    statistics = pair_statistics(policy, target, alpha)
    ess_policy = ess_target = acceptance = chernoff = divergence = 0.0
    for row in range(6):
        p, t = (brute.as_probabilities(logprobs[row]) for logprobs in (policy, target))
        q, z = brute.mixture(p, t, float(alpha[row]))
        ess_policy += brute.effective_size(p, q) / 6
        ess_target += brute.effective_size(t, q) / 6
        acceptance += sum(min(a, b) for a, b in zip(p, q, strict=True)) / 6
        chernoff -= float(torch.tensor(z).log()) / 6
        divergence += brute.kl(p, t) / 6
    assert statistics.ess_ratio == pytest.approx(ess_policy / ess_target, abs=1e-10)
    assert statistics.acceptance == pytest.approx(acceptance, abs=1e-10)
    assert statistics.chernoff == pytest.approx(chernoff, abs=1e-6)
    assert statistics.kl_policy_target == pytest.approx(divergence, abs=1e-10)
    assert statistics.alpha_mean == pytest.approx(float(alpha.mean()))
    assert statistics.kl_gap < 1e-10


def test_two_real_models_agree_with_the_float64_reference(real_data):
    folder = real_data / "tiny_models"
    models = str(folder / "babyllama_a"), str(folder / "babyllama_b")
    contexts = visit(*models, ["Once upon a time", "He"], 2, 24, 0)
    assert len(contexts.logits[0]) == 2 * 2 * 24
    for factor in (1.0, 4.0):
        measured, reference = compare(contexts.sharpened(factor))
        for field in dataclasses.fields(measured):
            expected = getattr(reference, field.name)
            assert getattr(measured, field.name) == pytest.approx(expected, abs=3e-4), field.name
        assert 0.3 < reference.alpha_mean < 0.7
        assert 0.8 < reference.acceptance < 1.0
        # A wrong exponent is far outside that tolerance.
        assert abs(reference.alpha_mean - 0.5) > 1e-3


@pytest.mark.parametrize("peak", [10.0, 40.0, 80.0])
def test_a_pair_of_certain_models_equals_its_reference(peak):
    logits = certain_pair(peak)
    contexts = Contexts(logits, (logits[0].double(), logits[1].double()))
    measured, reference = compare(contexts)
    for field in dataclasses.fields(measured):
        expected = getattr(reference, field.name)
        assert getattr(measured, field.name) == pytest.approx(expected, abs=1e-3), field.name
    assert abs(reference.alpha_mean - 0.5) > 0.01


def test_bisection_of_logits_sees_a_tail_that_log_probabilities_have_lost():
    # Two tokens besides the mode, e^−60 of the mass: their exponents solve Σ w r = e^a − e^b in closed form.
    policy = torch.tensor([[0.0, -60.0, -61.0]], dtype=torch.float64)
    target = torch.tensor([[0.0, -61.0, -60.5]], dtype=torch.float64)
    scale = torch.tensor(60.0, dtype=torch.float64)

    def slope(alpha):
        u, v = policy[0, 1:] + scale, target[0, 1:] + scale
        return float(((v + alpha * (u - v)).exp() * (u - v)).sum() - u.exp().sum() + v.exp().sum())

    expected = brentq(slope, 0, 1, xtol=1e-12)
    assert bisect_alpha(policy, target).item() == pytest.approx(expected, abs=1e-9)
    assert bisect_alpha(policy.roll(1, -1), target.roll(1, -1)).item() == pytest.approx(expected, abs=1e-9)
