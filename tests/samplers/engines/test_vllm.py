"""vLLM in process as the engine of a sampler, in an environment that has it: `just test-vllm`."""

import os
import random
import statistics
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch

pytest.importorskip("vllm", reason="vLLM has an environment of its own: just test-vllm")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from lightning.pytorch import Callback, Trainer, seed_everything
from reference import enumeration as exact
from reference.tiny_methods import LengthReward, TinyData, small_model
from reference.tiny_models import prompt_batch
from transformers import GPT2Config, GPT2LMHeadModel

from qstar_pl.errors import UserError
from qstar_pl.integrations.vllm_weights import WeightReceiver
from qstar_pl.methods import PPO, QStar
from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.models import FromConfig, LanguageModel
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import POLICY, Alone, Geometric
from qstar_pl.samplers import EngineSampler, GeometricSampler, PolicySampler, Sampler
from qstar_pl.samplers.engines import VLLMEngine
from qstar_pl.targets import Expert

VOCAB = 8
LAWS = {"policy": (Alone(POLICY), exact.policy_only), "q_star": (Geometric(KLSymmetricAlpha()), exact.geometric(None))}
OPTIONS = {"block_size": 32, "num_gpu_blocks_override": 64, "max_num_batched_tokens": 64}
Pair = tuple[LanguageModel, LanguageModel]


def model(seed: int, scale: float, tied: bool) -> LanguageModel:
    """Heads of 32 numbers, the smallest that vLLM's CPU attention takes."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCAB, n_layer=2, n_embd=64, n_head=2, n_positions=128, initializer_range=scale,
        bos_token_id=1, eos_token_id=1, tie_word_embeddings=tied,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return LanguageModel(GPT2LMHeadModel(config).eval())


@pytest.fixture(scope="module")
def pair() -> Pair:
    return model(0, 0.15, tied=True), model(1, 0.2, tied=False)


@pytest.fixture(scope="module", params=LAWS)
def sampler(request: pytest.FixtureRequest) -> Iterator[tuple[str, EngineSampler]]:
    engine = VLLMEngine(max_model_len=96, max_num_seqs=16, options=OPTIONS)
    found = EngineSampler(engine=engine, law=LAWS[request.param][0], max_new_tokens=24)
    yield request.param, found
    found.close()


def shift(policy: LanguageModel, seed: int, size: float = 0.05) -> None:
    """What an optimizer step does: every weight moves."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(size * torch.randn_like(parameter))


def gap(rollout: Any) -> float:
    return float((rollout.behavior_logprobs - rollout.recomputed_logprobs).abs()[rollout.completion_mask].max())


def changed(sampler: EngineSampler, **options: Any) -> EngineSampler:
    """The same engine, asked for something else."""
    found = copy(sampler)
    for name, value in options.items():
        object.__setattr__(found, name, value)
    return found


def test_a_thousand_answers_over_pushes_are_the_policys_own(sampler: tuple[str, EngineSampler], pair: Pair) -> None:
    """Mixed lengths, half of the prompts beginning alike; each token has the trainer's log q of its own request."""
    numbers = random.Random(0)
    shared = numbers.choices(range(2, VOCAB), k=40)
    before = torch.random.get_rng_state(), random.getstate()
    held, answers = set(), 0
    for step in range(5):
        shift(pair[0], step, 0.01)
        prompts = [numbers.choices(range(2, VOCAB), k=numbers.randint(1, 60)) for _ in range(100)]
        prompts = [shared + one[:20] if i % 2 else one for i, one in enumerate(prompts)]
        torch.random.set_rng_state(before[0])
        sampler[1].note_step(step)
        rollout = sampler[1].draw(prompt_batch(prompts), *pair, samples=2, seed=step)
        assert torch.equal(torch.random.get_rng_state(), before[0])
        assert gap(rollout) < 5e-4
        assert rollout.info.engine.step == step
        held.add(rollout.info.engine.fingerprint)
        answers += len(rollout)
        if step == 4:  # another request's prompt would have shown
            other = replace(rollout, prompt_index=rollout.prompt_index.roll(7))
            assert gap(sampler[1].rescore(other, *pair)) > 0.1
    assert answers == 1000
    assert len(held) == 5


def test_distribution_after_a_push(sampler: tuple[str, EngineSampler], pair: Pair) -> None:
    shift(pair[0], 7)
    prompt, count = [3, 4, 2], 3000
    name, engine = sampler
    short = changed(engine, max_new_tokens=2)
    rollout = short.draw(prompt_batch([prompt]), *pair, samples=count, seed=11)
    pairs = zip(rollout.completion_ids, rollout.completion_mask, strict=True)
    counts = dict(Counter(tuple(ids[mask].tolist()) for ids, mask in pairs))
    predictors = [exact.predictor(one.model, prompt) for one in pair]

    def p_value(mix: exact.Mix) -> float:
        return exact.g_test(counts, exact.enumerate_sequences(*predictors, mix, 2, {1}))

    assert p_value(LAWS[name][1]) > 1e-6
    wrong = {exact.policy_only, exact.target_only} - {LAWS[name][1]}
    assert max(map(p_value, wrong)) < 1e-6
    again = short.draw(prompt_batch([prompt]), *pair, samples=count, seed=11)
    assert torch.equal(again.completion_ids, rollout.completion_ids)


def test_truncated_answers_have_their_kept_sets(sampler: tuple[str, EngineSampler], pair: Pair) -> None:
    for cut in ({"top_k": 4}, {"top_p": 0.8, "temperature": 0.7}):
        cutting = changed(sampler[1], max_new_tokens=8, **cut)
        rollout = cutting.draw(prompt_batch([[3, 4], [5]]), *pair, samples=20, seed=3)
        assert gap(rollout) < 5e-4
        counts = rollout.info.kept.counts[rollout.completion_mask]
        assert 1 <= int(counts.min()) <= int(counts.max()) <= (4 if "top_k" in cut else VOCAB - 1)


def test_a_stale_weight_in_the_worker_is_caught(sampler: tuple[str, EngineSampler], pair: Pair) -> None:
    """Whatever stays behind: the packed output head that vLLM leaves as it was, or one tensor of those pushed."""
    prompts = prompt_batch([[3, 4]])
    take = WeightReceiver.qstar_take

    def without_one(self: Any, weights: Any) -> None:
        take(self, [one for one in weights if not one[0].endswith("h.1.mlp.c_fc.bias")])

    sampler[1].note_step(40)
    wanted = r"policy's weights of step 40 \(float32:[0-9a-f]{16}\), got float32:"
    for fault in (
        patch("qstar_pl.integrations.vllm_weights._pack_again"),
        patch.object(WeightReceiver, "qstar_take", without_one),
    ):
        shift(pair[0], 9, 0.01)
        with fault, pytest.raises(UserError, match=wanted):
            sampler[1].draw(prompts, *pair, samples=1, seed=0)
        assert gap(sampler[1].draw(prompts, *pair, samples=1, seed=0)) < 5e-4  # mended by a whole push


class Watch(Callback):
    """Keeps the reward and the mismatch of every rollout."""

    def __init__(self) -> None:
        self.rewards: list[float] = []
        self.gaps: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        scored = outputs["report"].weighted.scored
        self.rewards.append(float(scored.rewards.mean()))
        if scored.rollout.recomputed_logprobs is not None:
            self.gaps.append(gap(scored.rollout))


def trained(method: type[RolloutModule], sampler: Sampler, seed: int) -> Watch:
    """Twenty batches of 8 prompts × 3 answers of 8 tokens, whose reward is a sum over their tokens."""
    seed_everything(seed, verbose=False)
    sizes = {"n_embd": 64, "n_layer": 1, "n_head": 2, "n_positions": 256, "vocab_size": 640}
    module = method(
        policy=FromConfig(model_type="gpt2", overrides=sizes, seed=1),
        target=Expert(small_model(2)),
        reward=LengthReward(),
        gold=None,
        sampler=sampler,
        samples_per_prompt=3,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
    )
    watch = Watch()
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options |= {"accelerator": "cpu", "enable_checkpointing": False, "limit_val_batches": 0, "callbacks": [watch]}
    Trainer(max_steps=20 if method is QStar else 40, **options).fit(module, TinyData())
    return watch


@pytest.mark.parametrize(("method", "name"), [(PPO, "policy"), (QStar, "q_star")], ids=["ppo", "q_star"])
def test_twenty_steps_of_training_end_within_noise(method: type[RolloutModule], name: str) -> None:
    plain = PolicySampler if name == "policy" else GeometricSampler
    runs = [trained(method, plain(max_new_tokens=8), seed).rewards for seed in range(4)]
    engine = VLLMEngine(max_model_len=128, max_num_seqs=32, options=OPTIONS)
    found = trained(method, EngineSampler(engine=engine, law=LAWS[name][0], max_new_tokens=8), 0)
    assert len(found.rewards) == len(runs[0]) == len(found.gaps) == 20
    assert max(found.gaps) < 1e-3
    first, last = ([sum(run[part]) / 5 for run in (*runs, found.rewards)] for part in (slice(5), slice(-5, None)))
    print(name, "first", first, "last", last, "largest gap", max(found.gaps))
    for ends in (first, last):
        noise = statistics.stdev(ends[:-1])
        assert abs(ends[-1] - statistics.mean(ends[:-1])) < 5 * noise
    assert statistics.mean(last) > statistics.mean(first)  # there was something to learn
