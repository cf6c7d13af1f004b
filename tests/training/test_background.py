"""Rollouts from a thread: what draws them is fixed by when they were asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from reference.tiny_models import prompt_batch
from torch import nn

from qstar_pl.training.background import BackgroundRollouts, Drawn, Order


@dataclass
class Draws:
    """Records which weights draw; a rollout stands for itself, so a number is enough of one."""

    model: nn.Linear
    slow: float = 0.0
    seen: list[float] = field(default_factory=list)

    def __call__(self, order: Order) -> Any:
        time.sleep(self.slow)
        self.seen.append(float(self.model(torch.ones(1, 1)).sum()))
        return self.seen[-1]


def pair() -> tuple[nn.Linear, nn.Linear]:
    policy, model = nn.Linear(1, 1), nn.Linear(1, 1)
    policy.bias.requires_grad_(False)
    with torch.no_grad():
        policy.weight.zero_()
        policy.bias.fill_(100.0)
    return policy, model


def order(step: int) -> Order:
    return Order(prompt_batch([[1]]), seed=0, step=step)


def learn(policy: nn.Linear) -> None:
    with torch.no_grad():
        policy.weight.add_(1.0)


@pytest.mark.parametrize("slow", [0.0, 0.02])
def test_each_draw_follows_the_weights_of_the_moment_it_was_asked_for(slow: float) -> None:
    policy, model = pair()
    queue = BackgroundRollouts(policy, model, Draws(model, slow))
    queue.ask(order(0))
    queue.ask(order(0))
    taken = []
    for step in range(3):
        taken.append(queue.take())
        learn(policy)
        queue.ask(order(step + 1))
    assert [(one.rollout, one.step) for one in taken] == [(100.0, 0), (100.0, 0), (101.0, 1)]
    assert [one.step for one in queue.all()] == [2, 3]
    assert len(queue) == 2  # they stay
    assert not any(p.requires_grad for p in model.parameters() if p is model.weight)
    assert model.bias.data_ptr() == policy.bias.data_ptr()  # what does not train is shared
    queue.close()


@pytest.mark.parametrize("enabled", [False, True])
def test_it_is_drawn_in_the_precision_of_the_one_who_asks(enabled: bool) -> None:
    policy, model = pair()

    def draw(_: Order) -> Any:
        return model(torch.ones(1, 1)).dtype

    queue = BackgroundRollouts(policy, model, draw)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
        queue.ask(order(0))
    assert queue.take().rollout == (torch.bfloat16 if enabled else torch.float32)
    queue.close()


def test_what_goes_wrong_is_said_where_it_is_taken() -> None:
    def fail(_: Order) -> Any:
        raise ValueError("no distribution")

    policy, model = pair()
    queue = BackgroundRollouts(policy, model, fail)
    queue.put([Drawn(7.0, 3)])  # type: ignore[arg-type]
    queue.ask(order(0))
    queue.ask(order(0))
    assert [one.step for one in queue.all()] == [3]  # a checkpoint of the steps before is not lost
    assert queue.take().step == 3
    with pytest.raises(ValueError, match="no distribution"):
        queue.take()
    queue.close()


def test_closing_ends_a_draw_at_its_next_token_and_leaves_no_thread() -> None:
    policy, model = pair()

    def endless(_: Order) -> Any:
        for _ in range(10_000):
            model(torch.ones(1, 1))
            time.sleep(0.01)

    queue = BackgroundRollouts(policy, model, endless)
    queue.ask(order(0))
    queue.ask(order(0))
    began = time.monotonic()
    queue.close()
    assert time.monotonic() - began < 5
    assert len(queue) == 0
    assert not [one for one in threading.enumerate() if one.name.startswith("rollouts")]


def test_restored_rollouts_come_first() -> None:
    policy, model = pair()
    queue = BackgroundRollouts(policy, model, Draws(model))
    queue.put([Drawn(7.0, 3)])  # type: ignore[arg-type]
    queue.ask(order(4))
    assert [queue.take().step, queue.take().step] == [3, 4]
    queue.close()
