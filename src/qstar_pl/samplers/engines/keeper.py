"""A running engine, what it was started for, and which of the policy's weights it has."""

from __future__ import annotations

from typing import NamedTuple

from transformers import PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.models.value_fingerprint import value_fingerprint
from qstar_pl.models.whole_weights import whole_weights
from qstar_pl.rollout.law import TARGET, Law
from qstar_pl.samplers.engines.engine import Engine, RunningEngine


class _For(NamedTuple):
    """What an engine was started for."""

    policy: PreTrainedModel
    target: NextToken | None
    law: Law
    longest: int

    def covers(self, other: _For) -> bool:
        same = self.policy is other.policy and self.target is other.target and self.law == other.law
        return same and other.longest <= self.longest


class Keeper:
    """Starts an engine when it is first needed, and sees to it that it draws from the policy's weights."""

    def __init__(self) -> None:
        self.step = 0
        """Optimizer steps that have been taken, as far as anyone said."""
        self.version: int | None = None
        """The step at which the last push was made; None before the first."""
        self._running: RunningEngine | None = None
        self._for: _For | None = None

    def running(
        self, engine: Engine, policy: LanguageModel, target: NextToken, law: Law, longest: int
    ) -> RunningEngine:
        """Return the engine, started unless it runs for these very models; arguments as of `Engine.start`."""
        wanted = _For(policy.model, target if TARGET in law.roles else None, law, longest)
        if self._running is None or self._for is None or not self._for.covers(wanted):
            self.stop()
            self._running, self._for = engine.start(policy, target, law, longest), wanted
        return self._running

    def refresh(self, running: RunningEngine, policy: LanguageModel) -> str:
        """Push the policy's weights unless the engine has them, and return their fingerprint, as the engine says it.

        Raises:
            UserError: if the engine holds others after the push.

        """
        wanted = value_fingerprint((values for _, values in whole_weights(policy.model)), running.dtype)
        held = running.fingerprint()
        if held != wanted:
            held = running.push(whole_weights(policy.model), self.step)
            self.version = self.step
        if held != wanted:
            raise UserError(
                f"engine must sample from the policy's weights of step {self.step} ({wanted}), got {held} from "
                f"{type(running).__name__} after they were pushed"
            )
        return held

    def stop(self) -> None:
        """Close the engine if it runs."""
        if self._running is not None:
            self._running.close()
        self._running = self._for = self.version = None
