"""A run that goes on keeps its optimizer's state, but takes options and schedule from its new command line.

Torch stores learning rates, decay and the rest beside the moments, and Lightning loads all of it over what was built.
Here the new options are put back, and the new schedule is stepped as often as the run has taken steps.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from qstar_pl.errors import UserError

KEY = "qstar_learning_rates"
"""Checkpoint key of the rates that the groups were given, before any schedule."""
DUE = "qstar_plateau_due"
"""Checkpoint key of a measurement that a ReduceLROnPlateau has not been told yet."""
_MEMORY = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
"""What ReduceLROnPlateau has learned of the metric so far; the rest of its state is options."""
Groups = list[dict[str, Any]]


@dataclass
class Fresh:
    """An optimizer and its schedule as they were built for this run, before a checkpoint is loaded into them."""

    optimizer: Optimizer
    scheduler: LRScheduler | None
    rates: list[float]
    """Of each group, as given, before the schedule."""
    build: Callable[[Any], Optimizer]
    """Builds another one like it."""
    options: Groups = field(init=False)
    _own: frozenset[str] = field(init=False)

    @classmethod
    def of(
        cls,
        build: Callable[[Any], Optimizer],
        schedule: Callable[[Optimizer], LRScheduler] | None,
        parameters: Sequence[Any],
    ) -> Fresh:
        """Build both over `parameters`, a list of them or of torch's dicts.

        Raises:
            UserError: if the optimizer's or the schedule's options, or these parameters, do not suit it.

        """
        optimizer = _built("optimizer", build, parameters)
        # What an optimizer keeps in its groups beside its arguments is state, and stays as the checkpoint has it.
        own = frozenset(optimizer.param_groups[0]) - _arguments(type(optimizer)) - _given(parameters)
        rates = [float(group["lr"]) for group in optimizer.param_groups]  # before a schedule changes them
        fresh = cls(optimizer, None if schedule is None else _built("lr_scheduler", schedule, optimizer), rates, build)
        fresh.options = [_without(group, {"params", *own}) for group in copy.deepcopy(optimizer.param_groups)]
        fresh._own = own
        return fresh

    def go_on(self, checkpoint: MutableMapping[str, Any], *, loaded: bool) -> None:
        """Bring the options of this run to the step of the checkpoint.

        Args:
            checkpoint: what Lightning is about to load, or has loaded; its schedules (and, before it is loaded, the
                optimizer's options) are replaced.
            loaded: whether the optimizer's state has been loaded already, as sharding strategies do.

        Raises:
            UserError: if the parameters are grouped in another way, if an option needs state that the checkpoint does
                not hold, or if the schedule has no such step.

        """
        states = checkpoint.get("optimizer_states") or []
        stored = self.optimizer.state_dict() if loaded else states[0] if states else None
        if stored is None:
            return
        old_rates = [float(group["lr"]) for group in stored["param_groups"]]
        if not loaded:
            self._check_groups(stored["param_groups"])
            self._check_state(stored["state"])
        # First the options as at step 0, from which the schedule is stepped; a loaded state has overwritten them.
        for group, options in zip(self.optimizer.param_groups, self.options, strict=True):
            group.update(copy.deepcopy(options))
        self._go_on_with_schedule(checkpoint, old_rates)
        for group, saved in zip(self.optimizer.param_groups, stored["param_groups"], strict=True):
            if not loaded:  # Lightning is about to load `saved` over the groups: it gets what they should be
                running = {name: saved[name] for name in self._own if name in saved}
                params = saved["params"]
                saved.clear()
                saved.update(_without(group, {"params"}) | running | {"params": params})

    def _go_on_with_schedule(self, checkpoint: MutableMapping[str, Any], old_rates: list[float]) -> None:
        if self.scheduler is None:
            checkpoint["lr_schedulers"] = []
            return
        stored = next(iter(checkpoint.get("lr_schedulers") or []), None)
        # "num_bad_epochs": the checkpoint's schedule was a ReduceLROnPlateau.
        watched = stored is not None and "num_bad_epochs" in stored
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            steps = None if stored is None or watched else _last_step(stored)
            self._replay(int(checkpoint["global_step"]) if steps is None else steps)
        elif watched and stored is not None:
            given = checkpoint.get(KEY) or self.rates
            self.scheduler.load_state_dict({name: stored[name] for name in _MEMORY})
            for group, new, now, was in zip(self.optimizer.param_groups, self.rates, old_rates, given, strict=True):
                # The share of the old rate that the plateaus have left is left of the new one too; of 0 there is none.
                group["lr"] = now if new == was else new * now / was if was else new
            self.scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]
            if (due := checkpoint.get(DUE)) is not None:
                self.scheduler.step(due)
        checkpoint["lr_schedulers"] = [self.scheduler.state_dict()]  # Lightning loads it over an equal one

    def _replay(self, steps: int) -> None:
        assert self.scheduler is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of schedules that are stepped before the optimizer
            try:
                for _ in range(steps):
                    self.scheduler.step()
            except ValueError as error:
                raise UserError(
                    f"lr_scheduler must go beyond step {steps}, where the checkpoint stands, got "
                    f"{type(self.scheduler).__name__}: {error}"
                ) from error

    def _check_groups(self, stored: Groups) -> None:
        had, got = ([len(group["params"]) for group in groups] for groups in (stored, self.optimizer.param_groups))
        if had != got:
            raise UserError(
                f"ckpt_path must hold the optimizer's state of the same parameters, got groups of {had} parameters for "
                f"groups of {got}; --model.policy=FromCheckpoint starts a new run from its weights"
            )

    def _check_state(self, stored: Mapping[Any, Mapping[str, Any]]) -> None:
        # With no state at all (before the first step, plain SGD) nothing is known to be missing.
        kept = {name for state in stored.values() for name, value in state.items() if value is not None}
        missing = sorted(self._state_names() - kept) if kept else []
        if missing:
            raise UserError(
                f"optimizer must not need what the checkpoint's has not kept ({', '.join(missing)}): options such as "
                f"amsgrad, centered or momentum cannot be switched on in a run that goes on, got "
                f"{type(self.optimizer).__name__}"
            )

    def _state_names(self) -> set[str]:
        """Return what such an optimizer keeps of a parameter, found by a step on a small one; empty if that fails."""
        trial = torch.nn.Parameter(torch.zeros(2, 2))
        trial.grad = torch.ones_like(trial)
        try:
            optimizer = self.build([trial])
            optimizer.step()
        except Exception:  # e.g. one that needs a closure, or an accelerator
            return set()
        return {name for name, value in optimizer.state[trial].items() if value is not None}


def _built(argument: str, build: Callable[[Any], Any], over: Any) -> Any:
    try:
        built = build(over)
    except (ValueError, TypeError, ZeroDivisionError, NotImplementedError) as error:
        raise UserError(
            f"{argument} must suit the model's parameters and its own options: {' '.join(str(error).split())}"
        ) from error
    for group in getattr(built, "param_groups", ()):
        # torch's optimizers look for a negative rate only; an infinite one makes every weight NaN in one step.
        if not math.isfinite(rate := float(group.get("lr", 0.0))):
            raise UserError(f"{argument} must suit the model's parameters and its own options: learning rate {rate}")
    return built


def check_options(build: Callable[[Any], Any]) -> None:
    """Check an optimizer's own options on a small parameter, before models are loaded.

    What needs the model's own parameters, or an accelerator, is left to the optimizer that trains.

    Raises:
        UserError: if an option is out of its range.

    """
    try:
        _built("optimizer", build, [torch.nn.Parameter(torch.zeros(2, 2))])
    except UserError as error:
        # torch's optimizers say "Invalid learning rate: -1.0"; other complaints may be of the parameter.
        cause = error.__cause__
        if cause is None or isinstance(cause, UserError) or str(cause).startswith("Invalid "):
            raise
    except Exception:
        return


def _without(group: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in names}


def _arguments(cls: type) -> set[str]:
    found = {"initial_lr"}  # which schedules add to a group
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            found |= set(inspect.signature(vars(base)["__init__"]).parameters)
    return found


def _given(parameters: Sequence[Any]) -> set[str]:
    return {name for group in parameters if isinstance(group, dict) for name in group}


def _last_step(state: Mapping[str, Any]) -> int | None:
    if "last_epoch" in state:
        return int(state["last_epoch"])
    inner = state.get("_schedulers")  # a ChainedScheduler counts no steps itself, its parts do
    return _last_step(inner[0]) if inner else None
