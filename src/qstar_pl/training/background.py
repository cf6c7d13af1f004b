"""Rollouts drawn in a thread, from copies of the policy's weights, while the policy itself goes on learning."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qstar_pl.types import PromptBatch, Rollout


class Abandoned(Exception):  # noqa: N818 (no error: what was drawn is not wanted any more)
    """Raised inside a draw that nobody waits for any more."""


@dataclass(frozen=True)
class Order:
    """One rollout that is asked for."""

    prompts: PromptBatch
    seed: int
    """Of the draw."""
    step: int
    """Optimizer steps that the weights had taken."""


@dataclass(frozen=True)
class Drawn:
    """One rollout that is there."""

    rollout: Rollout
    step: int
    """Optimizer steps that the weights which drew it had taken."""


class BackgroundRollouts:
    """A queue of rollouts, drawn one after the other by a thread of its own.

    Each follows the weights that the policy had when it was asked for: what trains is copied then, and put into a
    second model before its draw begins. So what is drawn depends on the order of `ask` and `take` alone, and never on
    how fast either side is. Memory: the second model's trained weights, and a copy of them for each rollout that waits;
    weights that do not train are shared.
    """

    def __init__(
        self, policy: nn.Module, model: nn.Module, draw: Callable[[Order], Rollout], device_type: str = "cpu"
    ) -> None:
        """Make the queue; the thread starts with the first rollout.

        Args:
            policy: π_θ, which trains.
            model: built alike, which draws; no one else may use it.
            draw: samples from `model`.
            device_type: of both, for autocast.

        """
        self._policy = policy
        self._model = model
        self._draw = draw
        self._device_type = device_type
        self._own = dict(model.named_parameters())
        self._waiting: deque[Future[Drawn] | Drawn] = deque()
        self._stop = threading.Event()
        self._executor: ThreadPoolExecutor | None = None
        self._snapshot: tuple[int, Mapping[str, Tensor]] | None = None
        for name, values in policy.named_parameters():
            own = self._own[name]
            if values.requires_grad:
                own.requires_grad_(False)
            else:
                own.data = values.data
        model.eval()
        # Asked at every pass, so that a draw which nobody waits for ends with its next token.
        model.register_forward_pre_hook(self._go_on)

    def __len__(self) -> int:
        return len(self._waiting)

    def ask(self, order: Order) -> None:
        """Have one more rollout drawn, by the weights that the policy has now."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rollouts")
        weights = self._weights(order.step)
        enabled = torch.is_autocast_enabled(self._device_type)  # of this thread: the other one has its own
        dtype = torch.get_autocast_dtype(self._device_type)
        self._waiting.append(self._executor.submit(self._drawn, order, weights, enabled, dtype))

    def put(self, drawn: Sequence[Drawn]) -> None:
        """Add rollouts that are there already, as a checkpoint holds them."""
        self._waiting.extend(drawn)

    def take(self) -> Drawn:
        """Return the next rollout, and wait for it if need be; what went wrong in drawing it is raised here."""
        first = self._waiting[0]
        drawn = first if isinstance(first, Drawn) else first.result()
        self._waiting.popleft()
        return drawn

    def all(self) -> list[Drawn]:
        """Return every rollout that was asked for and not taken, when all are there; they stay in the queue.

        From one on that went wrong there are none: what it was is said by `take`.
        """
        found = []
        for one in self._waiting:
            if not isinstance(one, Drawn) and one.exception() is not None:
                break
            found.append(one if isinstance(one, Drawn) else one.result())
        return found

    def close(self) -> None:
        """End the thread, whatever it is at; what was asked for is forgotten."""
        self._stop.set()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = None
        self._waiting.clear()
        self._stop.clear()

    def _weights(self, step: int) -> Mapping[str, Tensor]:
        if self._snapshot is None or self._snapshot[0] != step:  # several rollouts of one step share a copy
            trained = {name: values for name, values in self._policy.named_parameters() if values.requires_grad}
            self._snapshot = step, {name: values.detach().clone() for name, values in trained.items()}
        return self._snapshot[1]

    @torch.no_grad()
    def _drawn(self, order: Order, weights: Mapping[str, Tensor], enabled: bool, dtype: torch.dtype) -> Drawn:
        for name, values in weights.items():
            self._own[name].copy_(values)
        with torch.autocast(self._device_type, dtype=dtype, enabled=enabled):
            return Drawn(self._draw(order), order.step)

    def _go_on(self, *_: Any) -> None:
        if self._stop.is_set():
            raise Abandoned
