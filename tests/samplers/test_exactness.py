"""Samplers of language models against the float64 enumeration of every answer.

Sample sizes: with n samples of p, a law q is rejected once 2 n D(p‖q) is far above the degrees of freedom; each
negative control states its D. A correct sampler fails at p < 1e-6; seeds are fixed, so the outcome is too.
"""

from collections import Counter

import pytest
import torch
from reference import enumeration as exact
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.models import LanguageModel
from qstar_pl.qstar import EntropyAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler, TargetSampler
from qstar_pl.types import Rollout

VOCAB, LENGTH, SAMPLES = 6, 3, 20_000
PROMPT, EOS = [3, 4, 2], 1
THRESHOLD = 1e-6


@pytest.fixture(scope="module")
def pair() -> tuple[LanguageModel, LanguageModel]:
    """A flat and a sharp GPT-2, so that α* is not near one half; float32, as in use."""
    policy, target = random_model(vocab=VOCAB, seed=0, scale=0.5), random_model(vocab=VOCAB, seed=1, scale=0.9)
    return LanguageModel(policy.float()), LanguageModel(target.float())


@pytest.fixture(scope="module")
def predictors() -> tuple[exact.Predict, exact.Predict]:
    policy, target = random_model(vocab=VOCAB, seed=0, scale=0.5), random_model(vocab=VOCAB, seed=1, scale=0.9)
    return exact.predictor(policy, PROMPT), exact.predictor(target, PROMPT)


Law = dict[tuple[int, ...], float]
Pair = tuple[LanguageModel, LanguageModel]
Predictors = tuple[exact.Predict, exact.Predict]


def law(predictors: Predictors, mix: exact.Mix) -> Law:
    return exact.enumerate_sequences(*predictors, mix, LENGTH, [EOS])


def draw(sampler: Sampler, pair: Pair) -> Rollout:
    return sampler.draw(prompt_batch([PROMPT, [5]], keys=[7, 8]), *pair, samples=SAMPLES, seed=1)


def answers(rollout: Rollout) -> Counter[tuple[int, ...]]:
    """Count the first prompt's answers; the second, shorter prompt is there to put pads into the batch."""
    rows = zip(rollout.completion_ids[:SAMPLES], rollout.completion_mask[:SAMPLES], strict=True)
    return Counter(tuple(ids[mask].tolist()) for ids, mask in rows)


def test_the_geometric_sampler_draws_from_q_star_and_from_nothing_near_it(pair: Pair, predictors: Predictors) -> None:
    expected = law(predictors, exact.geometric(None))
    assert len(expected) == 156
    counts = answers(draw(GeometricSampler(max_new_tokens=LENGTH), pair))
    assert exact.g_test(counts, expected) > THRESHOLD
    # Negative controls: α = 1/2 (D = 0.030), the arithmetic mixture (0.062), each model alone (1.27), and one law per
    # pair of answers exchanged.
    for mix in (exact.geometric(0.5), exact.arithmetic, exact.policy_only, exact.target_only):
        wrong = law(predictors, mix)
        assert 2 * SAMPLES * exact.kl(expected, wrong) > 1000
        assert exact.g_test(counts, wrong) < THRESHOLD


@pytest.mark.parametrize(
    ("sampler", "mix"),
    [
        (PolicySampler(max_new_tokens=LENGTH), exact.policy_only),
        (TargetSampler(max_new_tokens=LENGTH), exact.target_only),
        (GeometricSampler(max_new_tokens=LENGTH, alpha=FixedAlpha(0.25)), exact.geometric(0.25)),
        (
            GeometricSampler(
                max_new_tokens=LENGTH, alpha=KLSymmetricAlpha(tol=1e-6), temperature=0.6, top_k=4, top_p=0.9
            ),
            exact.truncated(exact.geometric(None), 0.6, 4, 0.9),
        ),
        (PolicySampler(max_new_tokens=LENGTH, temperature=1.7), exact.truncated(exact.policy_only, 1.7)),
        (TargetSampler(max_new_tokens=LENGTH, top_p=0.8), exact.truncated(exact.target_only, top_p=0.8)),
    ],
    ids=["policy", "target", "fixed", "truncated", "hot", "nucleus"],
)
def test_samplers_draw_from_their_laws(pair: Pair, predictors: Predictors, sampler: Sampler, mix: exact.Mix) -> None:
    assert sampler.exact
    rollout = draw(sampler, pair)
    expected, counts = law(predictors, mix), answers(rollout)
    assert exact.g_test(counts, expected) > THRESHOLD
    assert exact.g_test(counts, law(predictors, exact.geometric(0.5))) < THRESHOLD
    # The reported log-probability of every answer is the law's.
    reported = rollout.behavior_logprobs.sum(-1)[:SAMPLES].double().exp()
    rows = zip(rollout.completion_ids, rollout.completion_mask, reported.tolist(), strict=False)
    for ids, mask, probability in list(rows)[:500]:
        assert probability == pytest.approx(expected[tuple(ids[mask].tolist())], rel=1e-4)


@pytest.mark.parametrize("sampler", [GeometricSampler(max_new_tokens=6), PolicySampler(max_new_tokens=6)])
def test_reported_logprobs_equal_recomputed_ones(pair: Pair, sampler: Sampler) -> None:
    rollout = sampler.draw(prompt_batch([PROMPT, [5], [2, 3, 4, 5]], pads=4), *pair, samples=20, seed=2)
    mask = rollout.completion_mask
    given = (rollout.prompts, rollout.prompt_index, rollout.completion_ids, mask)
    ids = rollout.completion_ids.unsqueeze(-1)
    policy, target = (model.completion_logits(*given).detach().log_softmax(-1) for model in pair)
    for reported, recomputed in (
        (rollout.policy_logprobs, policy),
        (rollout.target_logprobs, target),
        (
            rollout.behavior_logprobs,
            (rollout.alpha.unsqueeze(-1) * policy + (1 - rollout.alpha).unsqueeze(-1) * target).log_softmax(-1),
        ),
    ):
        torch.testing.assert_close(reported[mask], recomputed.gather(-1, ids).squeeze(-1)[mask], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "sampler",
    [GeometricSampler(max_new_tokens=8), PolicySampler(max_new_tokens=8), TargetSampler(max_new_tokens=8, top_p=0.9)],
    ids=["geometric", "policy", "target"],
)
def test_a_row_depends_on_its_prompt_alone(pair: Pair, sampler: Sampler) -> None:
    """Neither its neighbors, nor their order, nor 50 extra pads change a text or, beyond rounding, its numbers."""
    prompts, keys = [PROMPT, [5], [2, 3, 4, 5, 2]], [7, 8, 9]
    together = sampler.draw(prompt_batch(prompts, keys=keys), *pair, samples=6, seed=5)
    for variant in (
        sampler.draw(prompt_batch(prompts, pads=50, keys=keys), *pair, samples=6, seed=5),
        *(
            sampler.draw(prompt_batch([p], keys=[k]), *pair, samples=6, seed=5)
            for p, k in zip(prompts, keys, strict=True)
        ),
        sampler.draw(prompt_batch(prompts[::-1], keys=keys[::-1]), *pair, samples=6, seed=5),
        sampler.draw(prompt_batch(prompts, keys=keys), *pair, samples=2, seed=5),
    ):
        for row in range(len(variant)):
            key = int(variant.prompts.keys[variant.prompt_index[row]])
            twin = keys.index(key) * 6 + row % (len(variant) // len(variant.prompts))
            mask, twin_mask = variant.completion_mask[row], together.completion_mask[twin]
            assert variant.completion_ids[row][mask].tolist() == together.completion_ids[twin][twin_mask].tolist()
            for name in ("behavior_logprobs", "policy_logprobs", "target_logprobs", "alpha", "ess_policy", "log_z"):
                torch.testing.assert_close(
                    getattr(variant, name)[row][mask], getattr(together, name)[twin][twin_mask], rtol=1e-3, atol=1e-4
                )


@pytest.mark.parametrize(("alpha", "alone"), [(1.0, PolicySampler), (0.0, TargetSampler)])
def test_alpha_at_its_ends_is_bitwise_the_model(pair: Pair, alpha: float, alone: type[Sampler]) -> None:
    prompts = prompt_batch([PROMPT, [5]])
    mixed = GeometricSampler(max_new_tokens=6, alpha=FixedAlpha(alpha)).draw(prompts, *pair, samples=50, seed=9)
    single = alone(max_new_tokens=6).draw(prompts, *pair, samples=50, seed=9)
    for name in ("completion_ids", "completion_mask", "behavior_logprobs", "alpha", "log_z"):
        assert torch.equal(getattr(mixed, name), getattr(single, name)), name
    own = "policy_logprobs" if alpha == 1 else "target_logprobs"
    assert torch.equal(getattr(mixed, own), single.behavior_logprobs)


def test_another_strategy_is_another_alpha(pair: Pair) -> None:
    rollout = GeometricSampler(max_new_tokens=2, alpha=EntropyAlpha()).draw(
        prompt_batch([PROMPT]), *pair, samples=1, seed=0
    )
    policy, target = (model.start(prompt_batch([PROMPT]), 1).logits[0].log_softmax(-1) for model in pair)
    entropies = [-(p.exp() * p).sum() for p in (policy, target)]
    assert rollout.alpha[0, 0].item() == pytest.approx(float(entropies[0] / sum(entropies)), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_log_q_is_of_the_law_that_a_row_was_drawn_from_whatever_the_weights_are_rounded_to(dtype) -> None:
    """The columns fit together to float32's digits in bfloat16 too, though batch mates change its texts there."""
    policy, target = (LanguageModel(random_model(seed=seed, scale=0.3).to(dtype)) for seed in (0, 1))
    prompts = prompt_batch([[3, 4, 5], [6], [7, 8], [9, 3, 4, 5, 6]] * 4, keys=list(range(16)))
    rollout = GeometricSampler(max_new_tokens=12).draw(prompts, policy, target, samples=1, seed=2)
    mixed = rollout.alpha * rollout.policy_logprobs + (1 - rollout.alpha) * rollout.target_logprobs - rollout.log_z
    mask = rollout.completion_mask
    torch.testing.assert_close(mixed[mask], rollout.behavior_logprobs[mask], atol=2e-5, rtol=0)
    changed = 0
    for row in range(16):
        own = prompt_batch([prompts.prompt_ids[row][prompts.prompt_mask[row]].tolist()], keys=[row])
        alone = GeometricSampler(max_new_tokens=12).draw(own, policy, target, samples=1, seed=2)
        together = rollout.completion_ids[row][mask[row]].tolist()
        changed += together != alone.completion_ids[0][alone.completion_mask[0]].tolist()
    if dtype == torch.float32:
        assert changed == 0
