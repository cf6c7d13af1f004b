"""Ctrl-C and SIGTERM: the step at hand is finished and saved before a run ends."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from torch import distributed

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(SystemExit):
    """A run was told to stop and has been saved; its exit code is 128 + the signal's number, as a shell's would be."""

    def __init__(self, number: int, trainer: Trainer) -> None:
        # Lightning's launcher kills the first process as soon as one that it started ends with another code than 0.
        environment = getattr(trainer.strategy, "cluster_environment", None)
        launched = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
        super().__init__(0 if launched else 128 + number)


class StopSignals:
    """Notes the signals that this process gets, until it is released; the second Ctrl-C ends it at once."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        # Lightning's own handler, which this one replaces, may have been called before.
        self.received = int(signal.SIGTERM) if trainer.received_sigterm else 0
        self._earlier: dict[int, Any] = {}

    def catch(self) -> None:
        """Take the place of other handlers; in another thread than the main one nothing can be caught."""
        for number in SIGNALS:
            try:
                self._earlier[number] = signal.signal(number, self._note)
            except ValueError:
                return

    def release(self) -> None:
        """Put the other handlers back."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}

    def anywhere(self, also: bool = False) -> tuple[int, bool]:
        """Return (number of a signal that any process got, else 0; whether `also` holds in any process).

        Every process must call it.
        """
        if self.trainer.world_size == 1 or not distributed.is_initialized():
            return self.received, also
        values = torch.tensor([self.received, int(also)], device=self.trainer.strategy.root_device)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        number, agreed = values.tolist()
        return int(number), bool(agreed)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        if self.trainer.is_global_zero:
            again = "; Ctrl-C again stops at once, without saving" if number == signal.SIGINT else ""
            name = SIGNALS[signal.Signals(number)]
            print(f"\n{name}: the step at hand is finished and saved{again}", file=sys.stderr, flush=True)
