"""The reward of a program: whether it passes its tests."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.rewards.reward import Reward
from qstar_pl.sandbox import TASKS, ExecutionPool, Limits, Outcome, SandboxError, Task, Verdict, problem_from_metadata
from qstar_pl.types import Example, Rollout


class ExecutionReward(Reward):
    """1 if the program in an answer passes its problem's tests, else 0; or the share of the tests that it passes.

    Programs run behind the walls of `qstar_pl.sandbox`, as far as this machine's kernel allows them; `qstar pass-at-k
    --describe_isolation` prints them, and a warning says so where a program could reach the network or open no file.
    """

    def __init__(
        self,
        workers: int | None = None,
        share_of_tests: bool = False,
        limits: Limits = Limits(),
    ) -> None:
        """Describe the reward; nothing is started yet.

        Args:
            workers: programs at once, at least 1; null: one per processor that this process may use.
            share_of_tests: give the share of the tests passed, in [0, 1], instead of 0 or 1; HumanEval's asserts count
                one by one.
            limits: what one run of a program may use.

        """
        super().__init__()
        at_least(1, workers=workers)
        self.workers = workers
        self.share_of_tests = share_of_tests
        self.limits = limits
        self._pool: ExecutionPool | None = None
        self._owner = 0

    def unknown(self, example: Example) -> str | None:
        """See `Reward.unknown`; the tests themselves were checked by the adapter that read the row."""
        return None if example.metadata.get("task") in TASKS else "it has no tests of programs"

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`; reads the tests from the metadata of each answer's example.

        Raises:
            UserError: if an example has no tests of programs, or none can be run on this machine.

        """
        examples = [rollout.prompts.examples[index] for index in rollout.prompt_index.tolist()]
        verdicts = self.verdicts(examples, completions)
        for example, verdict in zip(examples, verdicts, strict=True):
            # No program can pass such tests, which a mean of rewards would hide.
            if verdict.outcome is Outcome.BROKEN_TESTS:
                key = problem_from_metadata(example.metadata).key
                warnings.warn(f"the tests of problem {key} cannot be run: {verdict.detail}", stacklevel=2)
        rewards = [verdict.share if self.share_of_tests else float(verdict.passed) for verdict in verdicts]
        return torch.tensor(rewards, dtype=torch.float32, device=rollout.completion_ids.device)

    def verdicts(self, examples: Sequence[Example], completions: Sequence[str]) -> list[Verdict]:
        """Return how the program in each answer fares in its example's tests.

        Raises:
            UserError: if an example has no tests of programs, or none can be run on this machine.

        """
        try:
            problems = [problem_from_metadata(example.metadata) for example in examples]
            pool = self._started()
        except SandboxError as error:
            raise UserError(str(error)) from error
        # All programs at once, so that the pool's workers never wait for one answer's verdict.
        tasks = [Task(problem, problem.program(text)) for problem, text in zip(problems, completions, strict=True)]
        return pool.judge(tasks, every_test=self.share_of_tests)

    def close(self) -> None:
        """End the processes that wait for programs; the next `score` starts new ones."""
        if self._pool is not None and self._owner == os.getpid():
            self._pool.close()
        self._pool = None

    def _started(self) -> ExecutionPool:
        # A forked copy of this process has no right to its parent's launchers.
        if self._pool is None or self._owner != os.getpid():
            self._pool, self._owner = ExecutionPool(self.workers, self.limits), os.getpid()
            if warning := self._pool.isolation.warning():
                warnings.warn(f"ExecutionReward: {warning}", stacklevel=2)
        return self._pool

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the running processes: a copy starts its own."""
        return {**self.__dict__, "_pool": None, "_owner": 0}
