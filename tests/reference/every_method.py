"""One maker per method, all at the smallest size, for tests of what must hold of every one of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from reference.tiny_methods import LengthReward, ending_model

from qstar_pl.methods import (
    DPO,
    LEDPO,
    PPO,
    SFT,
    EntropyAlphaRL,
    OffPolicy,
    QStar,
    RejectionSampling,
    RewardModeling,
    SFTOnSamples,
    UniformAlpha,
)
from qstar_pl.methods.strategies.beta_objective import HeldOut
from qstar_pl.models.reward_parametrisation import Autoregressive, SequenceHead
from qstar_pl.qstar.kl_estimators import K2
from qstar_pl.qstar.kl_placement import InLoss
from qstar_pl.samplers import GeometricSampler, PolicySampler, TargetSampler
from qstar_pl.targets import Expert

POLICY = {
    "policy": ending_model(1),
    "gold": None,
    "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.02),
}


def sampling(method: type, sampler: Any, **options: Any) -> Callable[[], Any]:
    return lambda: method(
        **POLICY,
        reward=LengthReward(),
        target=Expert(ending_model(2)),
        sampler=sampler,
        samples_per_prompt=3,
        **options,
    )


def ppo(accumulate: int) -> Any:
    # Accumulation is PPO's own: the trainer's knows one backward pass per optimizer step.
    options = {"micro_batch_size": 24 // accumulate, "epochs": 2, "minibatches": 1}
    return sampling(PPO, PolicySampler(max_new_tokens=8), **options)()


METHODS: Mapping[str, Callable[[], Any]] = {
    "SFT": lambda: SFT(**POLICY, reward=None),
    "RewardModeling": lambda: RewardModeling(
        ending_model(1), SequenceHead(), optimizer=lambda p: torch.optim.SGD(p, lr=0.02)
    ),
    "RewardModeling autoregressive": lambda: RewardModeling(
        ending_model(1), Autoregressive(), optimizer=lambda p: torch.optim.SGD(p, lr=0.02)
    ),
    "DPO": lambda: DPO(**POLICY, reward=None),
    "LEDPO": lambda: LEDPO(**POLICY, reward=None),
    "LEDPO, held out": lambda: LEDPO(**POLICY, reward=None, objective=HeldOut(share=0.4)),
    "RejectionSampling": sampling(RejectionSampling, PolicySampler(max_new_tokens=8)),
    "SFTOnSamples": sampling(SFTOnSamples, TargetSampler(max_new_tokens=8)),
    "OffPolicy": sampling(OffPolicy, TargetSampler(max_new_tokens=8)),
    "UniformAlpha": sampling(UniformAlpha, dataclasses.replace(UniformAlpha().sampler, max_new_tokens=8)),
    "EntropyAlphaRL": sampling(EntropyAlphaRL, dataclasses.replace(EntropyAlphaRL().sampler, max_new_tokens=8)),
    "QStar": sampling(QStar, GeometricSampler(max_new_tokens=8)),
    "QStar, KL in the loss": sampling(
        QStar, GeometricSampler(max_new_tokens=8), kl_placement=InLoss(), kl_estimator=K2(), kl_coefficient=0.5
    ),
}
