"""Whole-answer q* against the float64 enumeration of every answer of two small models.

Sample sizes as in test_exactness: with n samples of p, a law q is rejected once 2 n D(p‖q) is far above the degrees of
freedom. Correct samplers fail at p < 1e-6; seeds are fixed, so the outcome is too.
"""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from reference import enumeration as exact
from reference.tiny_models import prompt_batch, random_model
from scipy.optimize import brentq
from small_run import SMALL

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import EntropyAlpha, FixedAlpha
from qstar_pl.qstar.weights import RawWeights
from qstar_pl.samplers import GeometricSampler, SequenceGeometricSampler
from qstar_pl.types import Rollout

VOCAB, LENGTH, PROMPT, EOS = 5, 4, [3, 4, 2], 1
ALPHA = 0.4
Answer = tuple[int, ...]


@pytest.fixture(scope="module")
def pair() -> tuple[LanguageModel, LanguageModel]:
    policy, target = random_model(vocab=VOCAB, seed=0, scale=0.4), random_model(vocab=VOCAB, seed=4, scale=0.4)
    return LanguageModel(policy.float()), LanguageModel(target.float())


@pytest.fixture(scope="module")
def both() -> tuple[dict[Answer, float], dict[Answer, float], dict[Answer, float]]:
    """π_θ, π_t and the token-wise mixture of every answer."""
    models = random_model(vocab=VOCAB, seed=0, scale=0.4), random_model(vocab=VOCAB, seed=4, scale=0.4)
    predictors = [exact.predictor(model, PROMPT) for model in models]
    mixes = (exact.policy_only, exact.target_only, exact.geometric(ALPHA))
    return tuple(exact.enumerate_sequences(*predictors, mix, LENGTH, [EOS]) for mix in mixes)


def whole(both, alpha: float) -> tuple[dict[Answer, float], float]:
    """The mixture of whole answers, and Z."""
    terms = {answer: p**alpha * both[1][answer] ** (1 - alpha) for answer, p in both[0].items()}
    total = math.fsum(terms.values())
    return {answer: term / total for answer, term in terms.items()}, total


def texts(rollout: Rollout) -> list[Answer]:
    rows = zip(rollout.completion_ids, rollout.completion_mask, strict=True)
    return [tuple(ids[mask].tolist()) for ids, mask in rows]


def sampler(**options) -> SequenceGeometricSampler:
    return SequenceGeometricSampler(**{"max_new_tokens": LENGTH, "alpha": FixedAlpha(ALPHA)} | options)


def test_survivors_are_draws_of_the_mixture_of_whole_answers(pair, both) -> None:
    """20000 answers; the token-wise mixture (D = 0.09), α = 0.3 and each model fail where the true law passes."""
    samples = 20_000
    expected, z = whole(both, ALPHA)
    rollout = sampler().draw(prompt_batch([PROMPT]), *pair, samples=samples, seed=1)
    counts = Counter(texts(rollout))
    assert exact.g_test(counts, expected) > 1e-6
    for wrong in (both[2], whole(both, 0.3)[0], both[0], both[1]):
        assert 2 * samples * exact.kl(expected, wrong) > 600
        assert exact.g_test(counts, wrong) < 1e-6
    by_token = GeometricSampler(max_new_tokens=LENGTH, alpha=FixedAlpha(ALPHA))
    tokenwise = Counter(texts(by_token.draw(prompt_batch([PROMPT]), *pair, samples=samples, seed=1)))
    assert exact.g_test(tokenwise, both[2]) > 1e-6
    assert exact.g_test(tokenwise, expected) < 1e-6
    # Acceptance is Z(x): binomial standard error of n tries.
    tries = int(rollout.info.facts["tries"][0])
    assert abs(samples / tries - z) < 4 * math.sqrt(z * (1 - z) / tries)
    assert z < 0.8
    # The reported law is the enumerated one, up to the estimate of Z, which is one number.
    said, known = rollout.behavior_logprobs.double().sum(-1), torch.tensor([expected[one] for one in texts(rollout)])
    shift = said - known.log()
    assert float(shift.std()) < 1e-5
    assert float(shift.mean()) == pytest.approx(math.log(z * (tries - 1) / (samples - 1)), abs=1e-4)
    assert float(rollout.log_z[0].sum()) == pytest.approx(math.log((samples - 1) / (tries - 1)), abs=1e-5)
    assert rollout.info.exact
    assert int(rollout.completion_mask.sum()) + rollout.info.discarded > tries


def test_weights_of_whole_answers_average_to_one(pair) -> None:
    """With Ẑ of three survivors; with the plug-in r/n, which is not unbiased, they do not."""
    prompts = prompt_batch([PROMPT] * 4000, keys=list(range(4000)))
    rollout = sampler().draw(prompts, *pair, samples=3, seed=2)
    log_weights = rollout.policy_logprobs - rollout.behavior_logprobs
    weights = RawWeights()(log_weights, rollout.completion_mask, rollout.prompt_index)[:, 0].double()
    of_prompts = weights.view(-1, 3).mean(-1)
    error = float(of_prompts.std()) / math.sqrt(len(of_prompts))
    assert abs(float(of_prompts.mean()) - 1) < 4 * error
    tries = rollout.info.facts["tries"].view(-1, 3)[:, 0].double()
    plug_in = of_prompts * (3 / tries) * (tries - 1) / 2
    assert float(plug_in.mean()) - 1 > 5 * error
    assert error < 0.02


def test_alpha_is_that_of_whole_answers(pair, both) -> None:
    def slope(alpha: float) -> float:
        return math.fsum(q * math.log(both[0][y] / both[1][y]) for y, q in whole(both, alpha)[0].items())

    expected = brentq(slope, 0.0, 1.0, xtol=1e-12)
    prompts = prompt_batch([PROMPT] * 40, keys=list(range(40)))
    drawn = SequenceGeometricSampler(max_new_tokens=LENGTH, pilot=256).draw(prompts, *pair, samples=1, seed=3)
    alpha = drawn.alpha[:, 0].double()
    assert abs(float(alpha.mean()) - expected) < 4 * float(alpha.std()) / math.sqrt(40) + 0.003
    assert 0 < float(alpha.std()) < 0.1
    torch.testing.assert_close(drawn.alpha, torch.where(drawn.completion_mask, drawn.alpha[:, :1], 0.0))


def test_an_answer_depends_on_its_prompt_alone(pair) -> None:
    """Neither neighbors, nor pads, nor how many answers are asked for, change what the first survivors are."""
    given = SequenceGeometricSampler(max_new_tokens=LENGTH, pilot=4)
    together = given.draw(prompt_batch([PROMPT, [2], [4, 4]], pads=9, keys=[7, 8, 9]), *pair, samples=5, seed=5)
    alone = given.draw(prompt_batch([[2]], keys=[8]), *pair, samples=5, seed=5)
    assert texts(alone) == texts(together)[5:10]
    assert alone.info.facts["tries"].tolist() == together.info.facts["tries"][5:10].tolist()
    torch.testing.assert_close(alone.alpha[:, 0], together.alpha[5:10, 0], rtol=0, atol=1e-5)
    fewer = given.draw(prompt_batch([[4, 4], PROMPT], keys=[9, 7]), *pair, samples=2, seed=5)
    assert texts(fewer) == texts(together)[10:12] + texts(together)[:2]
    others = given.draw(prompt_batch([[2]], keys=[8]), *pair, samples=5, seed=6)
    assert texts(others) != texts(alone)


def test_columns_are_what_the_models_say(pair) -> None:
    """Also of rows that began anew, and after other rows have left the batch."""
    prompts = prompt_batch([PROMPT, [2], [4, 4]], pads=2, keys=[7, 8, 9])
    rollout = sampler(max_new_tokens=8).draw(prompts, *pair, samples=30, seed=5)
    assert int(rollout.info.facts["tries"].max()) > 45
    mask = rollout.completion_mask
    where = (prompts, rollout.prompt_index, rollout.completion_ids, mask)
    for name, model in zip(("policy", "target"), pair, strict=True):
        expected = model.completion_logits(*where).log_softmax(-1)
        expected = expected.gather(-1, rollout.completion_ids.unsqueeze(-1)).squeeze(-1)
        column = getattr(rollout, f"{name}_logprobs")
        torch.testing.assert_close(column, torch.where(mask, expected, 0.0), rtol=0, atol=2e-5)
    for name, value in vars(rollout).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert not value[~mask].any(), name
    ends = rollout.completion_ids.gather(-1, mask.sum(-1, keepdim=True) - 1).squeeze(-1)
    assert torch.equal(rollout.ended_mask, ends == EOS)
    assert bool(((mask.sum(-1) == 8) | rollout.ended_mask).all())


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_are_the_models(pair, alpha: float) -> None:
    rollout = sampler(alpha=FixedAlpha(alpha)).draw(prompt_batch([PROMPT]), *pair, samples=6, seed=3)
    assert rollout.info.facts["tries"].tolist() == [6] * 6
    assert not rollout.log_z.any()
    torch.testing.assert_close(rollout.behavior_logprobs, rollout.policy_logprobs if alpha else rollout.target_logprobs)


def test_a_spent_budget_is_one_line(pair) -> None:
    hopeless = sampler(max_new_tokens=60, max_tries=2, alpha=FixedAlpha(0.5))
    with pytest.raises(UserError, match="max_tries must be enough for answers to survive, got 2 per answer"):
        hopeless.draw(prompt_batch([PROMPT]), *pair, samples=4, seed=1)


def test_sequential_monte_carlo_knows_z_without_bias(pair, both) -> None:
    """300 prompts, of which most have spent one try per answer: mean Ẑ and mean weight against enumeration."""
    expected, z = whole(both, ALPHA)
    prompts = prompt_batch([PROMPT] * 300, keys=list(range(300)))
    given = sampler(max_tries=1, on_budget="smc", particles=4)
    rollout = given.draw(prompts, *pair, samples=2, seed=4)
    by_smc = rollout.info.facts["survivors"] == 0
    assert 100 < int(by_smc.sum()) < 600
    assert not rollout.info.exact
    assert not given.exact
    estimates = rollout.log_z.double().sum(-1)[by_smc].exp()
    error = float(estimates.std()) / math.sqrt(len(estimates))
    assert abs(float(estimates.mean()) - z) < 4 * error
    assert error < 0.02
    assert len(set(estimates.tolist())) > 50
    weights = (rollout.policy_logprobs - rollout.behavior_logprobs).double().sum(-1).exp()[by_smc]
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / math.sqrt(len(weights))
    # log q is that of the mixture of whole answers, but for the estimate of Z.
    known = np.log([expected[one] * z for one in texts(rollout)])
    own = (rollout.behavior_logprobs + rollout.log_z).double().sum(-1).numpy()
    np.testing.assert_allclose(own, known, atol=1e-4)


def test_more_particles_come_closer(pair, both) -> None:
    """With 32 particles the law cannot be told from q by 1500 answers, and can from the token-wise one."""
    expected, _ = whole(both, ALPHA)
    prompts = prompt_batch([PROMPT] * 12, keys=list(range(12)))
    given = sampler(max_tries=1, on_budget="smc", particles=32)
    rollout = given.draw(prompts, *pair, samples=125, seed=4)
    assert int(rollout.info.facts["survivors"].max()) == 0
    counts = Counter(texts(rollout))
    assert exact.g_test(counts, expected) > 1e-6
    assert exact.g_test(counts, both[2]) < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"survivors": 1}, "survivors must be at least 2, got 1"),
        ({"max_tries": 0}, "max_tries must be at least 1, got 0"),
        ({"pilot": 0}, "pilot must be at least 1, got 0"),
        ({"on_budget": "stop"}, "on_budget must be raise or smc, got stop"),
        ({"alpha": EntropyAlpha()}, "alpha must be FixedAlpha or KLSymmetricAlpha for whole answers, got EntropyAlpha"),
        ({"top_k": 3}, "temperature, top_k and top_p must be left out for a law of whole answers, got temperature=1.0"),
    ],
    ids=["survivors", "tries", "pilot", "budget", "alpha", "truncation"],
)
def test_mistakes_are_one_line(options, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SequenceGeometricSampler(**options)


def test_q_star_trains_on_whole_answers(qstar, repository) -> None:
    given = [
        "fit",
        *SMALL,
        "--trainer.max_steps=2",
        "--trainer.limit_val_batches=0",
        f"--model.sampler={repository}/configs/sampler/sequence_geometric.yaml",
        "--model.sampler.max_new_tokens=6",
        "--model.sampler.alpha=FixedAlpha",  # of two prompts of six tokens the symmetric one may lie where guards warn
    ]
    code, _, err = qstar(*given)
    assert code == 0, err
    code, _, err = qstar(*given, "--model.weights=RawWeights", "--model.weights.level=token")
    assert code != 0
    assert "weights.level must be sequence for SequenceGeometricSampler" in err
