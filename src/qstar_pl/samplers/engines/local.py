"""The project's own decoding as an engine: a copy of the policy, in a dtype of its own."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.models.configure import DTYPES, seeded
from qstar_pl.models.freeze import freeze
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.models.value_fingerprint import value_fingerprint
from qstar_pl.rollout.engine import decode
from qstar_pl.rollout.kept import KeptRecorder
from qstar_pl.rollout.law import Law
from qstar_pl.samplers.engines.engine import Engine, Generated, Job, RunningEngine, Weights


@dataclass(frozen=True)
class LocalEngine(Engine):
    """Decodes with a second copy of the policy, in this process: an engine without a library, for trying out.

    In float32 it gives the texts of the sampler without an engine; in bfloat16 the mismatch between an engine and the
    trainer is real.
    """

    precision: Literal["float32", "bfloat16", "float16"] | None = None
    """Type of the copy; null: the policy's."""

    def __post_init__(self) -> None:
        if self.precision not in (None, "float32", "bfloat16", "float16"):
            raise UserError(f"precision must be float32, bfloat16, float16 or null, got {self.precision}")

    def held_bytes(self, parameters: int, dtype: torch.dtype, device_bytes: float) -> float:
        """See `Engine.held_bytes`."""
        return super().held_bytes(parameters, DTYPES[self.precision] if self.precision else dtype, device_bytes)

    def start(self, policy: LanguageModel, target: NextToken, law: Law, longest: int) -> LocalCopy:
        """See `Engine.start`."""
        dtype = policy.model.dtype if self.precision is None else DTYPES[self.precision]
        config = copy.deepcopy(policy.model.config)
        with seeded(0):  # first values are drawn, and replaced by the first push
            model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        model.generation_config = copy.deepcopy(policy.model.generation_config)
        own = LanguageModel(freeze(model.to(policy.model.device)), policy.tokenizer)
        return LocalCopy(own, target, law)


class LocalCopy(RunningEngine):
    """A copy of the policy that decodes."""

    def __init__(self, policy: LanguageModel, target: NextToken, law: Law) -> None:
        self.policy = policy
        self._target = target
        self._law = law

    @property
    def dtype(self) -> torch.dtype:
        """See `RunningEngine.dtype`."""
        dtype: torch.dtype = self.policy.model.dtype
        return dtype

    @torch.no_grad()
    def push(self, weights: Weights, step: int) -> str:
        """See `RunningEngine.push`."""
        own = dict(self.policy.model.named_parameters())
        for name, values in weights:
            if name not in own:
                raise UserError(f"weights must be those of the policy for an engine, got {name} as well")
            own.pop(name).copy_(values)
        if own:
            raise UserError(f"weights must be those of the policy for an engine, got none for {min(own)}")
        return self.fingerprint()

    def fingerprint(self) -> str:
        """See `RunningEngine.fingerprint`."""
        return value_fingerprint(self.policy.model.parameters(), self.dtype)

    def generate(self, job: Job) -> Generated:
        """See `RunningEngine.generate`."""
        rollout = decode(
            job.prompts,
            self.policy,
            # A law that does not need π_t must not read it in vain.
            self._target if len(self._law.roles) > 1 else self.policy,
            self._law,
            samples=job.samples,
            seed=job.seed,
            max_new_tokens=job.max_new_tokens,
            truncation=job.truncation,
            kept=KeptRecorder() if job.truncation.cuts else None,
        )
        known = (*(f"{role}_logprobs" for role in self._law.roles), "alpha", "log_z")
        return Generated(
            token_ids=rollout.completion_ids,
            mask=rollout.completion_mask,
            ended_mask=rollout.ended_mask,
            logprobs=rollout.behavior_logprobs.float(),
            kept=rollout.info.kept,
            columns={name: getattr(rollout, name).float() for name in known},
        )

    def close(self) -> None:
        """See `RunningEngine.close`."""
        del self.policy
