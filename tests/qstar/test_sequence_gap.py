"""The gap between the token-wise mixture and that of whole answers, against every answer of a pair of tables."""

import math

import pytest
import torch
from reference.enumerated import COUNT, MASK, Pair
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.qstar.sequence_gap import log_densities, sequence_gaps
from qstar_pl.samplers import GeometricSampler

PAIR = Pair()


def of_answers(alpha: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    behavior = PAIR.behavior(alpha)
    return log_densities(
        PAIR.policy_logprobs, PAIR.target_logprobs, behavior.logprobs, behavior.alpha, MASK
    ), behavior.law


def exact_gap(alpha: float | None) -> float:
    """D(q‖q_seq), both laws written out."""
    behavior = PAIR.behavior(alpha)
    powers = (behavior.alpha * PAIR.policy_logprobs + (1 - behavior.alpha) * PAIR.target_logprobs).sum(-1).exp()
    sequence_law = powers / powers.sum()
    return float((behavior.law * (behavior.law / sequence_law).log()).sum())


def expected(alpha: float | None, n: int) -> tuple[float, float]:
    """The mean of both estimates over every n-tuple of answers."""
    densities, law = of_answers(alpha)
    tuples, probabilities = PAIR.tuples(law, n)
    index = torch.arange(len(tuples)).repeat_interleave(n)
    gaps = sequence_gaps(densities[tuples.flatten()], index, len(tuples), torch.ones(len(index), dtype=torch.bool))
    assert bool(gaps.counted_mask.all())
    assert bool((gaps.jackknife >= gaps.plug_in - 1e-12).all())
    assert bool((gaps.plug_in >= -1e-12).all())
    return float(probabilities @ gaps.plug_in), float(probabilities @ gaps.jackknife)


@pytest.mark.parametrize("alpha", [None, 0.5, 0.2])
def test_the_definition_is_the_divergence_of_the_two_laws(alpha) -> None:
    """Minus the mean of S is another number, and no gap."""
    densities, law = of_answers(alpha)
    exact = exact_gap(alpha)
    assert float((law * densities.exp()).sum().log() - law @ densities) == pytest.approx(exact, abs=1e-9)
    assert exact > 0.01
    assert -float(law @ densities) > 1.5 * exact


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_the_jackknife_takes_the_bias_out_and_the_plug_in_is_a_lower_bound(alpha) -> None:
    exact = exact_gap(alpha)
    means = {n: expected(alpha, n) for n in (2, 3, 4)}
    for plug_in, jackknife in means.values():
        assert plug_in < jackknife < 1.02 * exact
    plug_ins = [plug_in for plug_in, _ in means.values()]
    assert plug_ins == sorted(plug_ins)
    assert means[4][0] < 0.8 * exact
    assert means[4][1] > 0.95 * exact


def test_independent_tokens_have_no_gap_whatever_z_is() -> None:
    """Answers of three tokens that know nothing of each other: Σ log Z is −.32 on every answer, the gap 0."""
    logits = torch.tensor([[1.0, 0.2, -0.5], [-0.8, 0.9, 0.3]], dtype=torch.float64)
    p, t = logits.log_softmax(-1)
    alpha = torch.tensor(0.5, dtype=torch.float64)
    q = alpha * p + (1 - alpha) * t
    log_z = float(q.logsumexp(-1))
    tokens = torch.cartesian_prod(*[torch.arange(3)] * 3)
    densities = log_densities(p[tokens], t[tokens], (q - log_z)[tokens], alpha.expand(27, 3), torch.ones(27, 3) > 0)
    assert densities.tolist() == pytest.approx([3 * log_z] * 27)
    assert 3 * log_z < -0.3
    gaps = sequence_gaps(densities, torch.arange(27) // 4, 7, torch.ones(27, dtype=torch.bool))
    assert float(gaps.jackknife.abs().max()) < 1e-12
    assert float(gaps.plug_in.abs().max()) < 1e-12


@pytest.mark.parametrize(("spread", "jackknife", "plug_in"), [(0.3, 0.99, 0.74), (1, 0.94, 0.67), (2, 0.79, 0.54)])
def test_normal_densities_lose_what_the_diagnostic_says(spread, jackknife, plug_in) -> None:
    """S normal with standard deviation σ has the gap σ²/2; 100,000 prompts of four answers."""
    count = 100_000
    densities = spread * torch.randn(4 * count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    index = torch.arange(count).repeat_interleave(4)
    gaps = sequence_gaps(densities, index, count, torch.ones(4 * count, dtype=torch.bool))
    assert float(gaps.jackknife.mean()) / (spread**2 / 2) == pytest.approx(jackknife, abs=0.01)
    assert float(gaps.plug_in.mean()) / (spread**2 / 2) == pytest.approx(plug_in, abs=0.01)


def test_answers_hundreds_of_nats_apart_keep_their_digits() -> None:
    """log(e⁰ + e^−300 …): without the largest answer the others decide, and may not be lost to rounding."""
    densities = torch.tensor([0.0, -300.0, -301.0, -5.0, 7.0], dtype=torch.float64)
    index = torch.tensor([0, 0, 0, 1, 2])
    gaps = sequence_gaps(densities, index, 4, torch.ones(5, dtype=torch.bool))
    without_top = -300 + math.log((1 + math.exp(-1)) / 2)
    without_other = math.log(0.5)
    jackknife = 3 * math.log(1 / 3) - 2 * (without_top + 2 * without_other) / 3 + 601 / 3
    assert gaps.counted_mask.tolist() == [True, False, False, False]
    assert gaps.jackknife.tolist() == pytest.approx([jackknife, 0, 0, 0])
    assert gaps.plug_in.tolist() == pytest.approx([math.log(1 / 3) + 601 / 3, 0, 0, 0])
    tied = sequence_gaps(torch.full((4,), -800.0), torch.zeros(4).long(), 1, torch.ones(4) > 0)
    assert tied.jackknife.tolist() == [0.0]


def test_rows_that_do_not_count_change_nothing() -> None:
    densities = torch.tensor([-1.0, 50.0, -2.0, -3.0], dtype=torch.float64)
    mask = torch.tensor([True, False, True, True])
    gaps = sequence_gaps(densities, torch.zeros(4).long(), 1, mask)
    alone = sequence_gaps(densities[mask], torch.zeros(3).long(), 1, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(gaps.jackknife, alone.jackknife)
    torch.testing.assert_close(gaps.plug_in, alone.plug_in)


@pytest.mark.parametrize(("alpha", "model"), [(1.0, 0), (0.0, 1)])
def test_a_model_with_exponent_zero_may_give_no_probability(alpha, model) -> None:
    finite, none = torch.full((1, 2), -1.0), torch.full((1, 2), -torch.inf)
    policy, target = (finite, none) if model == 0 else (none, finite)
    density = log_densities(policy, target, finite, torch.full((1, 2), alpha), torch.ones(1, 2, dtype=torch.bool))
    assert density.tolist() == [0.0]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"top_k": 2}])
def test_what_a_sampler_returns_is_of_the_law_it_drew_from(options) -> None:
    """40,000 answers of the sampler, as one prompt: the estimate is the divergence, also where q is not the mixture."""
    sampler = GeometricSampler(max_new_tokens=3, **options)
    policy, target = (TableModel(logits, eos=(1,)) for logits in (PAIR.policy, PAIR.target))
    rollout = sampler.draw(prompt_batch([[2]]), policy, target, samples=40_000, seed=3)
    densities = log_densities(
        rollout.policy_logprobs,
        rollout.target_logprobs,
        rollout.behavior_logprobs,
        rollout.alpha,
        rollout.completion_mask,
    ).double()
    found = sequence_gaps(densities, rollout.prompt_index, 1, torch.ones(len(rollout), dtype=torch.bool)).jackknife
    # The law drawn from, and the mixture on its support, from what was drawn itself: 15 answers at most, all seen.
    laws = {}
    for ids, mask, q, s in zip(
        rollout.completion_ids, rollout.completion_mask, rollout.behavior_logprobs.sum(-1), densities, strict=True
    ):
        laws[tuple(ids[mask].tolist())] = (math.exp(q), math.exp(q + s))
    mass, total = (math.fsum(column) for column in zip(*laws.values(), strict=True))
    assert mass == pytest.approx(1, abs=1e-3)
    assert len(laws) <= COUNT
    exact = math.fsum(q * math.log(q / (m / total)) for q, m in laws.values())
    assert float(found) == pytest.approx(exact, rel=0.05)
    if not options:
        assert exact == pytest.approx(exact_gap(None), rel=1e-3)
