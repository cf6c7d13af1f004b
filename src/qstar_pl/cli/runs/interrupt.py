"""Ctrl-C, SIGTERM, and a scheduler's signal: the current step is finished and saved before a run ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from types import FrameType
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.connectors.signal_connector import _SignalConnector
from torch import distributed

SIGNALS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    signal.SIGUSR1: "SIGUSR1",
    signal.SIGHUP: "SIGHUP",
}
LAUNCHED_BY = "QSTAR_LAUNCHED_BY"
"""Environment variable: id of the process that starts the others of its run."""
AGAIN_S = 1.0
"""Seconds within which a repeated signal counts once: a terminal sends it, and a launcher may pass it on."""
PATIENCE_S = 10.0
"""Seconds that a process has to end after a signal that ends it at once; it may be inside a library."""


class Quiet(SystemExit):
    """The end of a process whose reason another process of the run reports."""

    def __init__(self, code: int, trainer: Trainer) -> None:
        # Lightning's launcher kills the first process as soon as one that it started ends with a code other than 0.
        environment = getattr(trainer.strategy, "cluster_environment", None)
        launched = isinstance(environment, LightningEnvironment) and trainer.local_rank > 0
        super().__init__(0 if launched else code)


class Stopped(SystemExit):
    """A run was told to stop; its exit code is 128 + the signal's number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


@runtime_checkable
class WritesAsItGoes(Protocol):
    """A callback that writes results as they are finished, so that its run may be ended at any moment."""

    def how_to_go_on(self) -> str:
        """Return what has been written, and how to continue from it."""


def name_of(number: int) -> str:
    """Return what a signal is called."""
    return SIGNALS.get(signal.Signals(number), signal.Signals(number).name)


class StopSignals:
    """What signals do that this process gets, from `catch` to `release`.

    While `saving` is set, the first one is only noted, for whoever can save. Otherwise it ends the process; so does a
    second one. If a callback `WritesAsItGoes`, there is nothing to wait for, and it says how to continue. If the
    process does not end within `PATIENCE_S`, because a library does not return to Python (a collective that waits for
    another process), a thread ends it.
    """

    def __init__(self) -> None:
        self.trainer: Trainer | None = None
        self.received = 0
        """Number of the signal that came, 0 for none."""
        self.saving = False
        self.going_on = ""
        """How a command goes on that keeps what it has done; empty where only a callback of the trainer knows."""
        self._since = 0.0
        self._earlier: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None

    def attach(self, trainer: Trainer) -> None:
        """Replace Lightning's own handling, which saves in the middle of a step and may hang with several processes.

        A scheduler's signal of its own choice (`SLURMEnvironment.requeue_signal`) is caught too.
        """
        self.trainer = trainer
        trainer._signal_connector = _LeftToUs(trainer)
        if trainer.local_rank == 0:  # before the launcher starts the others, which inherit the environment
            os.environ[LAUNCHED_BY] = str(os.getpid())
        environment = trainer._accelerator_connector.cluster_environment
        number = getattr(environment, "requeue_signal", None)
        if self._earlier and number is not None and number not in self._earlier:
            self._earlier[number] = signal.signal(number, self._note)

    def catch(self) -> None:
        """Install the handlers; does nothing outside the main thread, where Python allows no handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` ignores it
                self._earlier[number] = signal.signal(number, self._note)
        # Python runs a handler only between two bytecodes of the main thread; the number of a signal is written to this
        # descriptor at once, also while that thread is inside a library.
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(self._pipe[0],), daemon=True, name="signals").start()
        # A hook of fork cannot be removed again, so it must not keep this object alive.
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: [act() for act in [forked()] if act is not None])

    def release(self) -> None:
        """Put the earlier handlers back; after a signal to several processes, ignore what others still pass on."""
        self.saving = False
        if self._pipe is None:
            return
        signal.set_wakeup_fd(-1)
        echoes = self.received and self.trainer is not None and self.trainer.world_size > 1
        for number, handler in self._earlier.items():
            signal.signal(number, signal.SIG_IGN if echoes else handler)
        self._earlier = {}
        os.close(self._pipe[1])  # which ends the thread
        self._pipe = None

    def anywhere(self, also: bool = False) -> tuple[int, bool]:
        """Return (number of a signal that any process got, or 0; whether `also` holds in any process).

        A collective call: every process must make it.
        """
        trainer = self.trainer
        if trainer is None or trainer.world_size == 1 or not distributed.is_initialized():
            return self.received, also
        values = torch.tensor([self.received, int(also)], device=trainer.strategy.root_device)
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        number, agreed = values.tolist()
        return int(number), bool(agreed)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received and now - self._since < AGAIN_S:
            return
        first, self.received, self._since = not self.received, number, now
        speaks = self.trainer is None or self.trainer.is_global_zero
        if first and self.saving:
            if speaks:
                again = "; Ctrl-C again stops at once, without saving" if number == signal.SIGINT else ""
                self._say(number, f"the step at hand is finished and saved{again}")
            return
        writer = self._writer()
        self._pass_on(number, also_interrupts=writer is not None)
        said = [*([writer.how_to_go_on()] if writer is not None else []), *([self.going_on] if self.going_on else [])]
        if said:
            if speaks and first:
                self._say(number, f"stopped; {'; '.join(said)}")
            raise Stopped(number) if speaks or self.trainer is None else Quiet(128 + number, self.trainer)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if speaks:
            self._say(number, "stopped at once, before anything was to be saved" if first else "stopped at once")
        raise Stopped(number)

    def _writer(self) -> WritesAsItGoes | None:
        callbacks: list[Any] = [] if self.trainer is None else self.trainer.callbacks  # type: ignore[attr-defined]
        return next((callback for callback in callbacks if isinstance(callback, WritesAsItGoes)), None)

    def _pass_on(self, number: int, also_interrupts: bool = False) -> None:
        """Pass a signal on to the processes that this one started, or to the one that started it, which waits for it.

        A terminal sends Ctrl-C to all of them, and Lightning then ends the others; it is passed on only if the run
        is to end with a line of its own.
        """
        if number == signal.SIGINT and not also_interrupts:
            return
        launcher = None if self.trainer is None else self.trainer.strategy.launcher
        if launcher is not None and hasattr(launcher, "procs"):
            launcher.kill(signal.Signals(number))
        # Only to a launcher of this run: torchrun and SLURM, as parents, see to their processes themselves.
        if os.environ.get(LAUNCHED_BY) == str(os.getppid()):
            with contextlib.suppress(OSError):  # it has just ended
                os.kill(os.getppid(), number)

    def _watch(self, pipe: int) -> None:
        """End the process if Python does not get to run the handler of a signal that is to end it."""
        last = 0.0
        with contextlib.suppress(OSError):
            while got := os.read(pipe, 1):
                number, now = got[0], time.monotonic()
                if number not in self._earlier or now - last < AGAIN_S:
                    continue
                noted = last > 0 or not self.saving
                last = now
                if noted:
                    ender = threading.Timer(PATIENCE_S, self._end, (number,))
                    ender.daemon = True
                    ender.start()
        os.close(pipe)

    def _end(self, number: int) -> None:
        if self._pipe is not None:
            self._say(number, f"stopped, since nothing has moved for {PATIENCE_S:g} s")
            os._exit(128 + number)  # sys.exit would end this thread only

    def _forked(self) -> None:
        """Leave signals alone in a process forked from this one, such as a worker of a DataLoader."""
        if self._pipe is not None:
            self.release()

    def _say(self, number: int, text: str) -> None:
        print(f"\n{name_of(number)}: {text}", file=sys.stderr, flush=True)


class _LeftToUs(_SignalConnector):
    """Lightning's connector without its handlers."""

    def register_signal_handlers(self) -> None:
        """Do nothing: `StopSignals` has its own handlers."""
