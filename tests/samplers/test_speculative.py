"""Speculative sampling beside plain decoding: texts, columns, counts, and what it refuses."""

import pytest
import torch
from reference.chains import Chain
from reference.tiny_models import prompt_batch, random_model, word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import ESSBalanceAlpha
from qstar_pl.rollout import Alone, Geometric
from qstar_pl.rollout.law import POLICY
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.samplers import GeometricSampler, PolicySampler, SpeculativeSampler
from qstar_pl.samplers.couplings import Rejection
from qstar_pl.samplers.drafters import (
    Alternating,
    Drafter,
    Hybrid,
    ModelDrafter,
    PolicyDrafter,
    PromptLookup,
    TargetDrafter,
)
from qstar_pl.samplers.drafters.drafter import OWN
from qstar_pl.samplers.speculation.memory import TRIALS
from qstar_pl.types import Rollout

LENGTH, SAMPLES = 17, 3
PROMPTS, KEYS = [[3, 4, 5, 3, 4, 5, 3, 4], [6], [7, 8]], [1, 2, 3]
Pair = tuple[LanguageModel, LanguageModel]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return LanguageModel(random_model(scale=0.3)), LanguageModel(random_model("llama", seed=1, scale=0.3))


def small_model() -> ModelDrafter:
    drafter = ModelDrafter()
    drafter._tokens[:] = [LanguageModel(random_model(seed=0, scale=0.25), word_tokenizer())]
    return drafter


DRAFTERS = {
    "policy": PolicyDrafter(),
    "target": TargetDrafter(),
    "alternating": Alternating(),
    "model": small_model(),
    "lookup": PromptLookup(shortest=1),
    "lookup or model": Hybrid(PromptLookup(shortest=1), small_model()),
    "lookup or target": Hybrid(PromptLookup(shortest=1), TargetDrafter()),
    "lookup or alternating": Hybrid(PromptLookup(shortest=1), Alternating()),
}
STEADY = {name: drafter for name, drafter in DRAFTERS.items() if drafter.steady}


def texts(rollout: Rollout) -> list[list[int]]:
    return [ids[mask].tolist() for ids, mask in zip(rollout.completion_ids, rollout.completion_mask, strict=True)]


def speculative(drafter: Drafter, **options) -> SpeculativeSampler:
    return SpeculativeSampler(**{"drafter": drafter, "max_new_tokens": LENGTH, "mode": "always", **options})


@pytest.mark.parametrize("k", [1, 3, 7, None])
@pytest.mark.parametrize("name", DRAFTERS)
def test_texts_and_columns_are_those_of_plain_decoding(pair: Pair, name: str, k: int | None) -> None:
    prompts = prompt_batch(PROMPTS, pads=2, keys=KEYS)
    plain = GeometricSampler(max_new_tokens=LENGTH).draw(prompts, *pair, samples=SAMPLES, seed=4)
    rollout = speculative(DRAFTERS[name], k=k).draw(prompts, *pair, samples=SAMPLES, seed=4)
    assert texts(rollout) == texts(plain)
    assert torch.equal(rollout.ended_mask, plain.ended_mask)
    assert plain.ended_mask.any()
    assert not plain.ended_mask.all()
    for column in COLUMNS:
        torch.testing.assert_close(getattr(rollout, column), getattr(plain, column), rtol=1e-9, atol=1e-9)
    info = rollout.info.drafting
    assert info is not None
    assert info.emitted == int(rollout.completion_mask.sum())
    assert 0 < sum(info.accepted) == rollout.info.accepted < rollout.info.drafted


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_whatever_is_chosen_from_measured_times_the_texts_are_the_same(pair: Pair, mode) -> None:
    prompts = prompt_batch(PROMPTS, keys=KEYS)
    sampler = speculative(small_model(), mode=mode)
    plain = [GeometricSampler(max_new_tokens=LENGTH).draw(prompts, *pair, samples=2, seed=seed) for seed in range(4)]
    assert [texts(sampler.draw(prompts, *pair, samples=2, seed=seed)) for seed in range(4)] == list(map(texts, plain))


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({"law": Geometric(ESSBalanceAlpha())}, GeometricSampler(alpha=ESSBalanceAlpha(), max_new_tokens=LENGTH)),
        ({"temperature": 0.7, "top_k": 6, "top_p": 0.9}, None),
        ({"law": Alone(POLICY), "temperature": 1.3}, PolicySampler(temperature=1.3, max_new_tokens=LENGTH)),
    ],
    ids=["ess balance", "truncated", "policy"],
)
@pytest.mark.parametrize("name", ["model", "target"])
def test_any_law(pair: Pair, name: str, options, plain) -> None:
    plain = plain or GeometricSampler(max_new_tokens=LENGTH, **options)
    prompts = prompt_batch(PROMPTS, keys=KEYS)
    one, other = (
        s.draw(prompts, *pair, samples=2, seed=1) for s in (plain, speculative(DRAFTERS[name], k=3, **options))
    )
    assert texts(one) == texts(other)
    for column in COLUMNS:
        torch.testing.assert_close(getattr(other, column), getattr(one, column), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", STEADY)
def test_under_rejection_a_text_depends_on_neither_block_length_nor_batch(pair: Pair, name: str) -> None:
    """So how blocks are chosen cannot bias them; and a row alone says what it says among others."""
    prompts = prompt_batch(PROMPTS, keys=KEYS)
    drawn = [
        speculative(STEADY[name], k=k, coupling=Rejection()).draw(prompts, *pair, samples=SAMPLES, seed=4)
        for k in (1, 2, 7, None)
    ]
    assert all(texts(rollout) == texts(drawn[0]) for rollout in drawn[:3])
    for i, prompt in enumerate(PROMPTS):
        alone = speculative(STEADY[name], k=3, coupling=Rejection()).draw(
            prompt_batch([prompt], keys=KEYS[i : i + 1]), *pair, samples=1, seed=4
        )
        assert texts(alone) == texts(drawn[0])[i * SAMPLES : i * SAMPLES + 1]
    plain = GeometricSampler(max_new_tokens=LENGTH).draw(prompts, *pair, samples=SAMPLES, seed=4)
    assert texts(plain) != texts(drawn[0])


def test_under_rejection_a_rollout_that_drafts_does_so_at_every_position(pair: Pair) -> None:
    """A proposal changes the token: what dropped proposals showed must not choose whether there is one."""
    prompts = prompt_batch(PROMPTS, keys=KEYS)
    always, auto = (speculative(small_model(), k=3, coupling=Rejection(), mode=mode) for mode in ("always", "auto"))
    memory, rows = auto._memory[0], len(PROMPTS) * SAMPLES
    for known, seconds in ((memory.way(rows).plain, 9.0), (memory.way(rows).drafted, 1.0)):
        known.extend([seconds] * TRIALS)
    memory.costs.note(OWN, rows, 1, 1000.0)  # no block is worth this
    one, other = (sampler.draw(prompts, *pair, samples=SAMPLES, seed=4) for sampler in (always, auto))
    assert other.info.drafting is not None
    assert texts(one) == texts(other)


def test_another_drafter_that_alternates_is_refused_under_rejection() -> None:
    with pytest.raises(UserError, match="coupling must be SharedUniform for Alternating"):
        speculative(Alternating(), coupling=Rejection())


def test_k_must_be_positive() -> None:
    with pytest.raises(UserError, match="k must be at least 1, got 0"):
        speculative(PolicyDrafter(), k=0)


def passes(drafter: Drafter, tables: tuple[float, float] = (1.0, 1.0), k: int = 3, length: int = 13) -> dict[str, int]:
    """Passes of equal chains, of which everything is accepted, for one row."""
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    policy, target = (Chain(table * scale) for scale in tables)
    sampler = speculative(drafter, k=k, max_new_tokens=length)
    info = sampler.draw(prompt_batch([[2]]), policy, target, samples=1, seed=0).info.drafting
    assert info is not None
    assert info.tested == info.accepted
    return dict(info.calls)


def test_a_block_costs_the_passes_that_the_cost_model_says() -> None:
    """13 tokens, the first from the prompt's own logits; blocks of 3 with one more token behind each."""
    assert passes(PolicyDrafter()) == {"policy": 12, "target": 4}
    assert passes(TargetDrafter()) == {"target": 12, "policy": 4}
    # One pass per token: the model that verified a token proposes the next one without another pass.
    alternating = passes(Alternating(), k=1)
    assert sum(alternating.values()) <= 13
    drafter = ModelDrafter()
    drafter._tokens[:] = [Chain(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))]  # type: ignore[list-item]
    calls = passes(drafter)
    assert calls["policy"] == calls["target"] == 4


def test_an_eos_inside_a_block_ends_the_row_and_nothing_behind_it_counts(pair: Pair) -> None:
    table = torch.full((5, 5), -30.0)
    table[2, 3] = table[3, 1] = table[1, 4] = table[4, 4] = 30.0  # 2 → 3 → EOS (1) → 4 → 4 …
    sampler = speculative(PolicyDrafter(), k=7, max_new_tokens=10)
    rollout = sampler.draw(prompt_batch([[2]]), Chain(table, eos=(1,)), Chain(table), samples=2, seed=0)
    assert texts(rollout) == [[3, 1], [3, 1]]
    assert rollout.ended_mask.all()
    assert rollout.info.drafting is not None
    assert rollout.info.drafting.emitted == 4
    assert not rollout.behavior_logprobs[:, 2:].any()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_block_is_cut_at_the_longest_answer(pair: Pair, length: int) -> None:
    prompts = prompt_batch(PROMPTS, keys=KEYS)
    rollout = speculative(PolicyDrafter(), k=7, max_new_tokens=length).draw(prompts, *pair, samples=2, seed=4)
    plain = GeometricSampler(max_new_tokens=length).draw(prompts, *pair, samples=2, seed=4)
    assert texts(rollout) == texts(plain)


def test_the_context_is_never_exceeded() -> None:
    """Learnt positions end at 128: prompt and answer fill them to the last, and proposals stay within."""
    model = LanguageModel(random_model(eos=None))
    prompts = prompt_batch([[3, 4] * 56, [5]], keys=[1, 2])
    rollout = speculative(PolicyDrafter(), k=7, max_new_tokens=16).draw(prompts, model, model, samples=1, seed=0)
    assert rollout.completion_mask.all()
    assert rollout.completion_mask.shape == (2, 16)


def test_a_model_that_cannot_rewind_is_decoded_plainly_or_refused() -> None:
    table = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    stuck, other = Chain(table, rewinds=False), Chain(table)
    prompts = prompt_batch([[2]])
    rollout = speculative(PolicyDrafter(), mode="auto").draw(prompts, stuck, other, samples=2, seed=0)
    assert rollout.info.drafting is None
    assert texts(rollout) == texts(
        GeometricSampler(max_new_tokens=LENGTH).draw(prompts, stuck, other, samples=2, seed=0)
    )
    with pytest.raises(UserError, match=r"sampler\.mode must be auto for plain decoding without a policy model"):
        speculative(PolicyDrafter()).draw(prompts, stuck, other, samples=2, seed=0)


def test_a_sliding_window_that_would_move_on_is_decoded_plainly_or_refused() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "mistral",
        vocab_size=11,
        sliding_window=12,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        eos_token_id=None,
        bos_token_id=None,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LanguageModel(AutoModelForCausalLM.from_config(config).eval())
    prompts = prompt_batch([[3, 4, 5], [6, 7]])
    short, long = (speculative(PolicyDrafter(), k=3, max_new_tokens=n, mode="always") for n in (7, 20))
    assert short.draw(prompts, model, model, samples=1, seed=0).info.drafting is not None
    with pytest.raises(UserError, match="sliding windows for mode always, got 20 and room for 8"):
        long.draw(prompts, model, model, samples=1, seed=0)
    auto = speculative(PolicyDrafter(), max_new_tokens=20, mode="auto")
    for seed in range(2 * TRIALS):
        assert auto.draw(prompts, model, model, samples=1, seed=seed).info.drafting is None
    # What was read for drafts in vain is known, and not read each time.
    assert auto._memory[0].way(2).drafting_pays is not None
