"""vLLM in the trainer's own process."""

from __future__ import annotations

import copy
import importlib.util
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import distributed

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.law import POLICY, Alone, Geometric, Law
from qstar_pl.samplers.engines.engine import Engine, Generated, Job, RunningEngine, Weights
from qstar_pl.samplers.engines.vllm_requests import answer_of, generated_of, parameters_of, prompts_of

RECEIVER = "qstar_pl.integrations.vllm_weights.WeightReceiver"
_OWN = (
    *("additional_config", "dtype", "load_format", "logits_processors", "logprobs_mode", "max_logprobs", "model"),
    *("skip_tokenizer_init", "tensor_parallel_size", "worker_extension_cls"),
)
"""Arguments of `vllm.LLM` on which it depends that log q is right."""


def check_law(law: Law) -> None:
    """Raise UserError unless vLLM can draw from the law."""
    if not (law == Alone(POLICY) or isinstance(law, Geometric)):
        raise UserError(f"law must be Alone(policy) or Geometric for vLLM, got {law}")


@dataclass(frozen=True)
class VLLMEngine(Engine):
    """vLLM beside the policy, on the same device and in the same process: one process trains.

    Needs the extra `vllm`. Under `Geometric` π_t runs as guide in the engine (see integrations.md).
    """

    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Type of the engine's weights and caches; null: the policy's."""
    memory_fraction: float = 0.3
    """Share of a GPU's memory for the engine, in (0, 1]: weights and caches."""
    max_model_len: int | None = None
    """Longest prompt and answer together, tokens; null: the model's limit."""
    max_num_seqs: int = 256
    """Most requests in a batch, at least 1."""
    options: dict[str, Any] = field(default_factory=dict)
    """Other arguments of `vllm.LLM`, but for those that say which law it draws from."""

    def __post_init__(self) -> None:
        if taken := sorted(set(self.options) & set(_OWN)):
            raise UserError(f"options must leave {', '.join(_OWN)} to VLLMEngine, got {taken[0]}")
        within("(0, 1]", memory_fraction=self.memory_fraction)
        at_least(1, max_model_len=self.max_model_len, max_num_seqs=self.max_num_seqs)

    def check(self, law: Law) -> None:
        """See `Engine.check`."""
        check_law(law)

    def require(self) -> None:
        """See `Engine.require`."""
        if importlib.util.find_spec("vllm") is None:
            raise UserError("VLLMEngine needs vLLM: pip install 'qstar-pl[vllm]'")

    def held_bytes(self, parameters: int, dtype: torch.dtype, device_bytes: float) -> float:
        """See `Engine.held_bytes`: the share that vLLM reserves."""
        return self.memory_fraction * device_bytes

    def start(self, policy: LanguageModel, target: NextToken, law: Law, longest: int) -> RunningEngine:
        """See `Engine.start`; the weights that it starts with are random."""
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            raise UserError(
                "trainer.devices must be 1 for VLLMEngine (VLLMServer takes a server for each process), got "
                f"{distributed.get_world_size()} processes"
            )
        # Before vLLM is imported: it reads them then.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            from vllm import LLM
        except ImportError as error:
            raise UserError(f"VLLMEngine needs vLLM: pip install 'qstar-pl[vllm]' ({error})") from error
        dtype = self.precision or str(policy.model.dtype).removeprefix("torch.")
        config = copy.deepcopy(policy.model.config)
        config.architectures = [type(policy.model).__name__]
        guide, extra = _mixing(target, law, policy)
        with tempfile.TemporaryDirectory() as folder, _own_randomness():
            config.save_pretrained(folder)
            llm = LLM(
                folder,
                **{
                    "skip_tokenizer_init": True,
                    "load_format": "dummy",
                    "dtype": dtype,
                    "enforce_eager": True,
                    "max_model_len": self.max_model_len,
                    "max_num_seqs": self.max_num_seqs,
                    "gpu_memory_utilization": self.memory_fraction,
                    "generation_config": "vllm",
                    "logprobs_mode": "processed_logprobs",
                    "max_logprobs": -1,
                    "worker_extension_cls": RECEIVER,
                    **extra,
                    **self.options,
                },
            )
        return VLLMInProcess(llm, getattr(torch, dtype), guide)


class VLLMInProcess(RunningEngine):
    """A `vllm.LLM` whose worker lives in this process."""

    def __init__(self, llm: Any, dtype: torch.dtype, guide: dict[str, str] | None) -> None:
        self.llm = llm
        self._dtype = dtype
        self._guide = guide
        (facts,) = llm.collective_rpc("qstar_facts")
        self._takes_seeds = facts["takes_seeds"]

    @property
    def dtype(self) -> torch.dtype:
        """See `RunningEngine.dtype`."""
        return self._dtype

    def push(self, weights: Weights, step: int) -> str:
        """See `RunningEngine.push`."""
        with _own_randomness():
            self.llm.collective_rpc("qstar_take", args=(weights,))
        if not self.llm.reset_prefix_cache():
            raise UserError("engine must be idle when weights are pushed, got running requests")
        return self.fingerprint()

    def fingerprint(self) -> str:
        """See `RunningEngine.fingerprint`."""
        (held,) = self.llm.collective_rpc("qstar_fingerprint")
        return str(held)

    def generate(self, job: Job) -> Generated:
        """See `RunningEngine.generate`."""
        from vllm import SamplingParams

        prompts = [{"prompt_token_ids": ids} for ids in prompts_of(job)]
        parameters = [SamplingParams(**one) for one in parameters_of(job, seeds=self._takes_seeds)]
        with _own_randomness():
            # Where requests take none of their own, all of a draw share this one: texts then depend on their batch.
            torch.default_generator.manual_seed(job.seed)
            outputs = self.llm.generate(prompts, parameters, use_tqdm=False)
        answers = []
        for output in outputs:
            drawn = output.outputs[0]
            steps = [{i: said.logprob for i, said in step.items()} for step in drawn.logprobs or ()]
            answers.append(answer_of(drawn.token_ids, steps, job))
        return generated_of(answers, job)

    def close(self) -> None:
        """See `RunningEngine.close`."""
        if self._guide is not None:
            from qstar_pl.integrations.vllm import withdraw

            withdraw(self._guide)
        self.llm.llm_engine.engine_core.shutdown()
        del self.llm


def _mixing(target: NextToken, law: Law, policy: LanguageModel) -> tuple[dict[str, str] | None, dict[str, Any]]:
    """Return what was offered to the processor, and the arguments of `LLM` that make the engine draw from the law."""
    if isinstance(law, Geometric):
        from qstar_pl.integrations.vllm import NAME, QStarLogitsProcessor, offer

        if getattr(target, "template", None) is not None:
            raise UserError("target.prompt_template must be null for vLLM, whose guide reads the policy's own prompts")
        guide = offer(target, law.alpha)
        return guide, {"logits_processors": [QStarLogitsProcessor], "additional_config": {NAME: guide}}
    if policy.vocab_size < policy.model.get_output_embeddings().weight.shape[0]:
        from qstar_pl.integrations.vllm_vocabulary import NAME as VOCAB
        from qstar_pl.integrations.vllm_vocabulary import KnownIdsProcessor

        return None, {
            "logits_processors": [KnownIdsProcessor],
            "additional_config": {VOCAB: policy.vocab_size},
        }
    return None, {}


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Leave the process's random states as they were: vLLM seeds and draws from them."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the state that vLLM changes)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
