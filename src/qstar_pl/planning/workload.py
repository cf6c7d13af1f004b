"""How much a method reads, draws and learns from in one micro-step, per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qstar_pl.methods import DPO, PPO, RewardModeling, RLHFModule
from qstar_pl.methods.bases.rollout_module import RolloutModule


@dataclass(frozen=True)
class Workload:
    """Rows and tokens of one micro-step on one process."""

    drawn: int
    """Answers sampled; 0 for methods that learn from data."""
    learned: int
    """Sequences in one backward pass; a pair of answers counts twice."""
    passes: int
    """Backward passes of that size until the next draw."""
    prompt: int
    """Tokens of a prompt."""
    answer: int
    """Tokens of an answer."""

    @property
    def length(self) -> int:
        """Tokens of a sequence."""
        return self.prompt + self.answer


def workload(module: RLHFModule, data: Any, prompt: int | None, answer: int | None) -> Workload:
    """Return the workload of a configuration, with the longest prompts and answers unless lengths are given."""
    prompt = prompt or data.max_prompt_tokens
    rows = data.batch_size
    if isinstance(module, RolloutModule):
        drawn = rows * module.samples_per_prompt
        length = answer or module.sampler.max_new_tokens
        if isinstance(module, PPO):
            steps = module.steps
            # A minibatch is ⌈drawn / minibatches⌉ answers, unless a micro-batch is smaller.
            learned = min(steps.micro_batch_size or drawn, -(-drawn // steps.minibatches))
            # ⌈drawn / learned⌉ passes per epoch over the answers that were drawn.
            return Workload(drawn, learned, steps.epochs * -(-drawn // learned), prompt, length)
        return Workload(drawn, drawn, 1, prompt, length)
    pairs = isinstance(module, DPO | RewardModeling)
    return Workload(0, 2 * rows if pairs else rows, 1, prompt, answer or data.max_completion_tokens)
