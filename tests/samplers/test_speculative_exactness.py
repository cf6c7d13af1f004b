"""Speculative sampling against the enumerated law of a Markov chain with answers of three tokens, and against q*.

Stated beforehand: what is right must have p > 1e-6 in every test, what is wrong p < 1e-9. With n answers a law at
divergence D is rejected once 2 n D is far above the 215 degrees of freedom: D = 1e-3 gives 800.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import enumeration as exact
from reference.chains import Chain, quick_numbers
from reference.faulty_couplings import FAULTS, Arithmetic
from reference.pairs import pair_families
from reference.tiny_models import prompt_batch

from qstar_pl.models import LanguageModel
from qstar_pl.qstar import EntropyAlpha, FixedAlpha, KLSymmetricAlpha, geometric_mixture, solve_kl_symmetry
from qstar_pl.rollout import Alone, Geometric
from qstar_pl.rollout.law import POLICY, TARGET
from qstar_pl.samplers import SpeculativeSampler
from qstar_pl.samplers.couplings import Coupling, Rejection, SharedUniform
from qstar_pl.samplers.couplings.rejection import residual
from qstar_pl.samplers.drafters import (
    Alternating,
    Drafter,
    Hybrid,
    ModelDrafter,
    PolicyDrafter,
    PromptLookup,
    TargetDrafter,
)

VOCAB, LENGTH, START = 6, 3, 2
SAMPLES, FEWER = 400_000, 80_000
RIGHT, WRONG = 1e-6, 1e-9
generator = torch.Generator().manual_seed(3)
TABLES = [scale * torch.randn(VOCAB, VOCAB, generator=generator) for scale in (1.0, 1.6, 1.2)]


def predict(table: torch.Tensor) -> exact.Predict:
    probs = table.double().softmax(-1).numpy()
    return lambda prefix: probs[prefix[-1] if prefix else START]


def law(mix: exact.Mix) -> dict[tuple[int, ...], float]:
    return exact.enumerate_sequences(predict(TABLES[0]), predict(TABLES[1]), mix, LENGTH, [])


def model_drafter() -> ModelDrafter:
    drafter = ModelDrafter()
    drafter._tokens[:] = [Chain(TABLES[2])]  # type: ignore[list-item]
    return drafter


def sampler(drafter: Drafter, coupling: Coupling, **options) -> SpeculativeSampler:
    return SpeculativeSampler(drafter=drafter, coupling=coupling, mode="always", max_new_tokens=LENGTH, **options)


def p_value(one: SpeculativeSampler, mix: exact.Mix, samples: int = FEWER) -> float:
    with quick_numbers():
        rollout = one.draw(prompt_batch([[START]]), Chain(TABLES[0]), Chain(TABLES[1]), samples=samples, seed=1)
    assert rollout.completion_mask.all()
    codes = rollout.completion_ids @ torch.tensor([VOCAB**2, VOCAB, 1])
    found, counts = codes.unique(return_counts=True)
    triples = np.stack(np.unravel_index(found.numpy(), (VOCAB,) * LENGTH), axis=-1).tolist()
    return exact.g_test(dict(zip(map(tuple, triples), counts.tolist(), strict=True)), law(mix))


Q_STAR = exact.geometric(None)


@pytest.mark.parametrize(
    ("drafter", "coupling", "k"),
    [
        (PolicyDrafter(), Rejection(), 2),
        pytest.param(TargetDrafter(), Rejection(), 3, marks=pytest.mark.slow),
        pytest.param(model_drafter(), Rejection(), 1, marks=pytest.mark.slow),
        pytest.param(Alternating(), SharedUniform(), 1, marks=pytest.mark.slow),
    ],
    ids=["policy", "target", "model", "alternating"],
)
def test_400000_answers_follow_q_star(drafter: Drafter, coupling: Coupling, k: int) -> None:
    assert p_value(sampler(drafter, coupling, k=k), Q_STAR, SAMPLES) > RIGHT


@pytest.mark.parametrize("drafter", [TargetDrafter(), model_drafter()], ids=["target", "model"])
def test_other_drafters_do_too(drafter: Drafter) -> None:
    assert p_value(sampler(drafter, Rejection(), k=2), Q_STAR) > RIGHT


def test_a_look_up_gives_q_star() -> None:
    drafter = Hybrid(PromptLookup(longest=2, shortest=1), TargetDrafter())
    assert p_value(sampler(drafter, Rejection(), k=2), Q_STAR, 40_000) > RIGHT


@pytest.mark.parametrize(
    ("one", "mix"),
    [
        (Alone(TARGET), exact.target_only),
        (Alone(POLICY), exact.policy_only),
        (Geometric(FixedAlpha(0.3)), exact.geometric(0.3)),
    ],
    ids=["target", "policy", "fixed alpha"],
)
def test_any_law(one, mix: exact.Mix) -> None:
    assert p_value(sampler(PolicyDrafter(), Rejection(), k=2, law=one), mix) > RIGHT
    assert p_value(sampler(PolicyDrafter(), Rejection(), k=2, law=one), Q_STAR) < WRONG


def test_temperature_and_truncation_are_of_q() -> None:
    cut = exact.truncated(Q_STAR, temperature=0.8, top_k=4, top_p=0.9)
    one = sampler(model_drafter(), Rejection(), k=2, temperature=0.8, top_k=4, top_p=0.9)
    assert p_value(one, cut) > RIGHT
    assert p_value(one, Q_STAR) < WRONG


@pytest.mark.parametrize("fault", FAULTS, ids=[type(fault).__name__ for fault in FAULTS])
def test_a_wrong_rule_shows(fault: Rejection) -> None:
    assert p_value(sampler(PolicyDrafter(), fault, k=2), Q_STAR) < WRONG


@pytest.mark.parametrize("wrong", [Geometric(FixedAlpha(0.5)), Geometric(EntropyAlpha()), Arithmetic()])
def test_verification_against_another_law_shows(wrong) -> None:
    assert p_value(sampler(PolicyDrafter(), Rejection(), k=2, law=wrong), Q_STAR) < WRONG


@pytest.mark.parametrize("family", ["lm_0.3", "lm_1.0", "lm_3.0", "temp_0.5", "near_1e-06", "onehot_diff_30"])
def test_the_law_of_one_step_is_q_star_over_a_whole_vocabulary(family: str) -> None:
    """min(p, q) + (1 − Σ min(p, q)) · residual in float32 against q* in float64: a KL below 2e-7 at V = 50257.

    At the default tolerance of α, 1e-3, q* itself, and so plain decoding's law, is 1e-6 away on one of these pairs.
    """
    policy, target = pair_families(2, 50257)[family]
    alpha = solve_kl_symmetry(policy, target, tol=1e-9).alpha
    expected = geometric_mixture(policy, target, alpha).logprobs
    q = Geometric(KLSymmetricAlpha(tol=1e-5))({POLICY: policy.float(), TARGET: target.float()}).logprobs.softmax(-1)
    for drafted in (policy, target):
        p = drafted.float().softmax(-1)
        kept = torch.minimum(p, q).double()
        rest = residual(q, p).double()
        found = kept + (1 - kept.sum(-1, keepdim=True)).clamp_min(0) * rest / rest.sum(-1, keepdim=True)
        found = found / found.sum(-1, keepdim=True)
        kl = torch.where(found > 0, found * (found.log() - expected), 0.0).sum(-1)
        assert float(kl.abs().max()) < 2e-7
        # And the control: another α at the same place is far above the bound, unless the models are all but equal.
        if not family.startswith("near"):
            other = geometric_mixture(policy, target, (alpha - 0.05).clamp_min(0.0)).logprobs
            assert float((found * (found.clamp_min(1e-300).log() - other)).sum(-1).max()) > 2e-7


def three_grams(rows: torch.Tensor) -> torch.Tensor:
    """The 3-grams [rows, n] of answers, as numbers."""
    return (rows[:, :-2] * 105 + rows[:, 1:-1]) * 105 + rows[:, 2:]


def permutation_p(first: torch.Tensor, second: torch.Tensor, permutations: int = 400) -> float:
    """Σ (a − b)²/(a + b) over 3-gram counts, against the same after whole answers were exchanged.

    3-grams of one answer are not independent, so no χ² law holds; answers are, so any of them could be in either group.
    """
    grams = torch.cat([first, second])
    kinds, index = grams.unique(return_inverse=True)
    rows = torch.zeros(len(grams), len(kinds)).scatter_add_(1, index.view(grams.shape), torch.ones(grams.shape))
    total = rows.sum(0)

    def statistic(order: torch.Tensor) -> float:
        a = rows[order[: len(first)]].sum(0)
        return float(((2 * a - total) ** 2 / total).sum())

    mixing = torch.Generator().manual_seed(0)
    seen = statistic(torch.arange(len(grams)))
    larger = sum(statistic(torch.randperm(len(grams), generator=mixing)) >= seen for _ in range(permutations))
    return (larger + 1) / (permutations + 1)


@pytest.mark.slow
def test_two_real_language_models_give_the_three_grams_of_plain_decoding(real_data) -> None:
    from reference.faulty_couplings import TemperatureMismatch

    from qstar_pl.models import Pretrained
    from qstar_pl.samplers import GeometricSampler

    folder = real_data / "tiny_models"
    pair = [LanguageModel(Pretrained(str(folder / name)).load()) for name in ("babyllama_a", "babyllama_b")]
    prompts = prompt_batch([[5, 9, 20, 31], [7, 8]])
    drawn = {"max_new_tokens": 16}
    plain = GeometricSampler(**drawn).draw(prompts, *pair, samples=600, seed=1)
    speculative = SpeculativeSampler(drafter=PolicyDrafter(), coupling=Rejection(), k=3, mode="always", **drawn)
    right = speculative.draw(prompts, *pair, samples=600, seed=2)
    wrong = replace(speculative, coupling=TemperatureMismatch(0.6)).draw(prompts, *pair, samples=600, seed=2)
    assert right.info.accepted > 0.6 * right.info.drafted
    one, two, three = (three_grams(rollout.completion_ids) for rollout in (plain, right, wrong))
    assert permutation_p(one, two) > 0.01
    assert permutation_p(one, three) < 0.005
