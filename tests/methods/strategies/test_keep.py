import math
from types import SimpleNamespace

import pytest
import torch

from qstar_pl.methods.strategies.keep import AcceptReject, KeepAll, KeepBest
from qstar_pl.rollout.streams import row_uniforms


def scored(log_ratios, rewards=None, seed=3, keys=None):
    """Answers [prompts, samples] of two tokens and a pad; the ratio is spread over both tokens."""
    log_ratios = torch.as_tensor(log_ratios, dtype=torch.float32)
    prompts, samples = log_ratios.shape
    rows = prompts * samples
    mask = torch.tensor([[True, True, False]]).expand(rows, 3)
    behavior = torch.full((rows, 3), -1.0)
    parts = torch.stack([log_ratios.flatten() / 4, 3 * log_ratios.flatten() / 4, torch.full((rows,), 99.0)], dim=1)
    keys = torch.arange(prompts) if keys is None else keys
    batch = type("Prompts", (), {"keys": keys, "__len__": lambda self: prompts})()
    rollout = SimpleNamespace(
        prompts=batch,
        completion_mask=mask,
        target_logprobs=behavior + parts,
        behavior_logprobs=behavior,
        info=SimpleNamespace(seed=seed),
    )
    rewards = torch.zeros(rows) if rewards is None else torch.tensor(rewards).flatten()
    return SimpleNamespace(rollout=rollout, rewards=rewards)


def test_all_and_best():
    answers = scored(torch.zeros(2, 3), rewards=[[1.0, 5.0, 5.0], [-1.0, -2.0, -3.0]])
    assert KeepAll()(answers).mask.tolist() == [True] * 6
    assert KeepBest()(answers).mask.tolist() == [False, True, False, True, False, False]


def test_an_answer_is_accepted_where_its_uniform_is_below_the_ratio_over_the_bound():
    log_ratios = [[0.0, -1.0, 2.0, -math.inf], [-3.0, 0.5, -0.5, 0.1]]
    for log_bound in (None, 1.0):
        kept = AcceptReject(log_bound)(scored(log_ratios, seed=11))
        uniforms = row_uniforms(torch.arange(2), 4, 1, seed=11, purpose="accept-reject").view(2, 4)
        for prompt, ratios in enumerate(log_ratios):
            bound = max(ratios) if log_bound is None else log_bound
            for sample, ratio in enumerate(ratios):
                expected = float(uniforms[prompt, sample]) < min(1.0, math.exp(ratio - bound))
                assert bool(kept.mask.view(2, 4)[prompt, sample]) == expected
        over = 0.0 if log_bound is None else 1 / 8
        assert float(kept.terms["over_bound"]) == over
        assert float(kept.terms["log_bound"]) == pytest.approx(1.25 if log_bound is None else 1.0)


def test_the_estimated_bound_keeps_an_answer_of_every_prompt():
    log_ratios = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * 5
    kept = AcceptReject()(scored(log_ratios)).mask.view(200, 4)
    assert kept.any(-1).all()
    assert not kept.all()


def test_a_high_bound_keeps_nothing_and_chance_follows_the_seed():
    assert not AcceptReject(log_bound=50.0)(scored(torch.zeros(2, 3))).mask.any()
    ratios = torch.full((50, 4), -0.7)
    draws = [AcceptReject(log_bound=0.0)(scored(ratios, seed=seed)).mask for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_accepted_answers_follow_the_target():
    """G-test: with the true bound, what is accepted of q = (.5, .3, .2) is distributed as π_t = (.2, .2, .6)."""
    behavior, target = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    generator = torch.Generator().manual_seed(5)
    drawn = torch.multinomial(behavior, 6000, replacement=True, generator=generator).view(1500, 4)
    log_ratios = (target / behavior).log()[drawn]

    def g_statistic(kept):
        counts = torch.bincount(drawn[kept], minlength=3).double()
        expected = counts.sum() * target.double()
        return float(2 * (counts * (counts / expected).log()).sum())

    exact = AcceptReject(log_bound=math.log(3.0))(scored(log_ratios)).mask.view(1500, 4)
    assert abs(float(exact.float().mean()) - 1 / 3) < 0.02
    assert g_statistic(exact) < 13.8  # χ² with 2 degrees of freedom, p = 0.001
    # A bound that is too low lets too much of q through, as the docstring says of the estimate.
    low = AcceptReject(log_bound=0.0)(scored(log_ratios)).mask.view(1500, 4)
    assert g_statistic(low) > 100
