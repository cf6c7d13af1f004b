"""The processor inside vLLM, in an environment that has it: `just test-vllm`."""

import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

pytest.importorskip("vllm", reason="vLLM has an environment of its own: just test-vllm")
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

from reference import enumeration as exact
from reference.tiny_models import prompt_batch
from transformers import GPT2Config, GPT2LMHeadModel
from vllm import LLM, SamplingParams
from vllm.v1.core.sched.scheduler import Scheduler

from qstar_pl.integrations.vllm import QStarLogitsProcessor
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import KLSymmetricAlpha
from qstar_pl.rollout import POLICY, TARGET, Geometric
from qstar_pl.samplers import GeometricSampler

VOCAB = 8
PREEMPTIONS: list[str] = []


def model(seed: int, scale: float) -> GPT2LMHeadModel:
    """Heads of 32 numbers, the smallest that vLLM's CPU attention takes."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCAB, n_layer=2, n_embd=64, n_head=2, n_positions=128, initializer_range=scale,
        bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


@pytest.fixture(scope="module")
def pair() -> tuple[LanguageModel, LanguageModel]:
    return LanguageModel(model(0, 0.15)), LanguageModel(model(1, 0.2))


@pytest.fixture(scope="module", params=[True, False], ids=["prefix_cache", "no_prefix_cache"])
def engine(
    request: pytest.FixtureRequest, pair: tuple[LanguageModel, LanguageModel], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LLM]:
    """An engine whose prompts are read in chunks, and whose key-value cache is too small for all of its requests."""
    folders: list[Path] = []
    for name, one in zip(("policy", "target"), pair, strict=True):
        folders.append(tmp_path_factory.mktemp(name))
        one.model.save_pretrained(folders[-1])
    preempt = Scheduler._preempt_request

    def counted(self: Scheduler, one: Any, *args: Any, **options: Any) -> Any:
        PREEMPTIONS.append(one.request_id)
        return preempt(self, one, *args, **options)

    with patch.object(Scheduler, "_preempt_request", counted):
        yield LLM(
            str(folders[0]),
            skip_tokenizer_init=True,
            dtype="float32",
            enforce_eager=True,
            max_model_len=96,
            max_num_seqs=16,
            max_num_batched_tokens=32,
            block_size=32,
            num_gpu_blocks_override=16,
            enable_prefix_caching=request.param,
            logits_processors=[QStarLogitsProcessor],
            additional_config={"qstar": {"target": str(folders[1]), "alpha_args": {"tol": 1e-6}}},
            logprobs_mode="processed_logprobs",
            max_logprobs=-1,
        )


def law(pair: tuple[LanguageModel, LanguageModel], prompt: list[int], answer: list[int]) -> torch.Tensor:
    """The project's own log q [time, vocab] along an answer."""
    answers = torch.tensor([answer])
    logprobs = {}
    for role, one in zip((POLICY, TARGET), pair, strict=True):
        with torch.no_grad():
            said = one.completion_logits(prompt_batch([prompt]), torch.tensor([0]), answers, answers >= 0)
        logprobs[role] = said[0].log_softmax(-1)
    return Geometric(KLSymmetricAlpha(tol=1e-6))(logprobs).logprobs


def assert_same_law(output: Any, pair: tuple[LanguageModel, LanguageModel], prompt: list[int] | None = None) -> None:
    """What the engine says of the whole vocabulary at every token; its kernels are not those of transformers."""
    answer = output.outputs[0]
    expected = law(pair, prompt or list(output.prompt_token_ids), list(answer.token_ids))
    found = torch.tensor([[step[i].logprob for i in range(VOCAB)] for step in answer.logprobs])
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


def prompts(count: int) -> list[list[int]]:
    """Of 1 to 60 tokens; half of them begin alike, for the prefix cache."""
    numbers = random.Random(0)
    shared = numbers.choices(range(2, VOCAB), k=40)
    own = [numbers.choices(range(2, VOCAB), k=numbers.randint(1, 60)) for _ in range(count)]
    return [shared + one[:20] if i % 2 else one for i, one in enumerate(own)]


def test_a_thousand_requests_that_come_and_go(engine: LLM, pair: tuple[LanguageModel, LanguageModel]) -> None:
    waiting = list(enumerate(prompts(1000)))
    numbers, finished = random.Random(1), []
    PREEMPTIONS.clear()
    while waiting or engine.llm_engine.has_unfinished_requests():
        for _ in range(min(len(waiting), numbers.choice((0, 1, 2, 8)))):
            number, prompt = waiting.pop()
            # Mostly short; some grow so long that the cache does not hold all of them.
            tokens = numbers.choice((1, 2, 4, 36))
            params = SamplingParams(max_tokens=tokens, logprobs=-1, detokenize=False, ignore_eos=True)
            engine.llm_engine.add_request(str(number), {"prompt_token_ids": prompt}, params)
        finished += [output for output in engine.llm_engine.step() if output.finished]
    assert len(finished) == 1000
    assert len(PREEMPTIONS) > 10
    for output in finished:
        assert_same_law(output, pair)
    for output, other in zip(finished[:20], finished[20:40], strict=True):
        with pytest.raises(AssertionError):  # another request's state would have shown
            assert_same_law(output, pair, list(other.prompt_token_ids))


def test_greedy_tokens_are_those_of_the_engine_of_this_project(
    engine: LLM, pair: tuple[LanguageModel, LanguageModel]
) -> None:
    some = prompts(24)
    params = SamplingParams(temperature=0, max_tokens=12, detokenize=False, stop_token_ids=[1])
    found = engine.generate([{"prompt_token_ids": one} for one in some], params, use_tqdm=False)
    sampler = GeometricSampler(max_new_tokens=12, top_k=1, alpha=KLSymmetricAlpha(tol=1e-6))
    rollout = sampler.draw(prompt_batch(some), *pair, samples=1, seed=0)
    expected = [ids[mask].tolist() for ids, mask in zip(rollout.completion_ids, rollout.completion_mask, strict=True)]
    assert [list(one.outputs[0].token_ids) for one in found] == expected


def test_distribution(engine: LLM, pair: tuple[LanguageModel, LanguageModel]) -> None:
    """Answers of two tokens against their enumerated law; those of π_θ, of π_t and of a fixed α fail."""
    prompt, count = [3, 4, 2], 3000
    predictors = exact.predictor(pair[0].model, prompt), exact.predictor(pair[1].model, prompt)
    params = SamplingParams(max_tokens=2, detokenize=False, stop_token_ids=[1])
    drawn = engine.generate([{"prompt_token_ids": prompt}] * count, params, use_tqdm=False)
    counts = dict(Counter(tuple(one.outputs[0].token_ids) for one in drawn))

    def p_value(mix: exact.Mix) -> float:
        return exact.g_test(counts, exact.enumerate_sequences(*predictors, mix, 2, {1}))

    assert p_value(exact.geometric(None)) > 1e-6
    wrong = (exact.policy_only, exact.target_only, exact.geometric(0.25), exact.geometric(0.75))
    assert max(map(p_value, wrong)) < 1e-6
