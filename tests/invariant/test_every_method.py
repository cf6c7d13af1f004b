"""What must hold of every method, seen from outside: through the trainer, in the weights and in what is logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from reference.every_method import METHODS, ppo
from reference.tiny_methods import TinyData, run
from torch import Tensor

from qstar_pl.types import PromptBatch, Rollout

CLOCKS = ("time/", "tokens/per_s", "memory/", "throughput", "grad/variance", "grad/snr", "grad/noise_scale")


def trained(module: Any) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters() if p.requires_grad])


def comparable(metrics: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if not key.startswith(CLOCKS)}


def assert_same_run(one: tuple[Any, Mapping[str, float]], other: tuple[Any, Mapping[str, float]], start: Any) -> None:
    start.configure_model()
    moved = (trained(one[0]) - trained(start)).norm()
    assert moved > 1e-4, "the step changed nothing, so nothing was compared"
    assert (trained(one[0]) - trained(other[0])).norm() < 1e-4 * moved
    logged = comparable(one[1])
    assert {"loss/total", "samples/total", "grad/norm"} <= logged.keys()
    assert logged.get("length/ended_fraction", 0.5) > 0, "answers of one length show no fault of a mean over tokens"
    assert comparable(other[1]) == pytest.approx(logged, rel=1e-4, abs=1e-5)


def padded_rollout(rollout: Rollout) -> Rollout:
    def longer(value: Any) -> Any:
        in_time = isinstance(value, Tensor) and value.shape == rollout.completion_ids.shape
        return torch.cat([value, value.new_zeros(len(value), 50)], 1) if in_time else value

    return dataclasses.replace(
        rollout, **{field.name: longer(getattr(rollout, field.name)) for field in dataclasses.fields(rollout)}
    )


@pytest.mark.parametrize("name", [*METHODS, "PPO"])
def test_fifty_pads_change_neither_the_step_nor_a_metric(name, monkeypatch):
    make = METHODS.get(name, lambda: ppo(1))
    plain = run(make(), TinyData(), max_steps=1)
    module = make()
    if issubclass(module.batch_type, PromptBatch):
        draw = module.draw
        monkeypatch.setattr(module, "draw", lambda prompts: padded_rollout(draw(prompts)))
    assert_same_run(plain, run(module, TinyData(pads=50), max_steps=1), make())


@pytest.mark.parametrize("name", METHODS)
def test_eight_rows_at_once_are_one_row_eight_times(name):
    make = METHODS[name]
    whole = run(make(), TinyData(batch_size=8), max_steps=1)
    parts = run(make(), TinyData(batch_size=1), max_steps=1, accumulate_grad_batches=8)
    assert_same_run(whole, parts, make())


def test_ppo_in_one_pass_is_ppo_in_eight():
    assert_same_run(run(ppo(1), TinyData(), max_steps=2), run(ppo(8), TinyData(), max_steps=2), ppo(1))
