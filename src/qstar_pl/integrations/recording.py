"""What a logits processor knows of the tokens that its engine has drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qstar_pl.integrations.mixing import Step
from qstar_pl.types import TensorFields


@dataclass(frozen=True)
class Recorded(TensorFields):
    """Columns [rows, time] of drawn tokens, float in nats; 0 behind an answer's end."""

    token_ids: Tensor
    """int64."""
    mask: Tensor
    """bool: False behind the first EOS of π_t."""
    alpha: Tensor
    """Exponent of π_θ."""
    log_z: Tensor
    q_logprobs: Tensor
    """log q as it left the processor: before the engine's temperature, top-k and top-p."""
    policy_logprobs: Tensor
    target_logprobs: Tensor


class Recorder:
    """Keeps one step's distributions until the token drawn from them is known, then that token's numbers."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._columns: list[Tensor] = []

    def clear(self) -> None:
        """Forget everything, for new prompts."""
        self._step, self._columns = None, []

    def keep(self, step: Step) -> None:
        """Remember what the next tokens will be drawn from."""
        self._step = step

    def drawn(self, token_ids: Tensor) -> None:
        """Note the tokens [rows] that were drawn from it."""
        assert self._step is not None
        self._columns.append(_numbers(self._step, token_ids))

    def read(self, token_ids: Tensor, ends: tuple[int, ...]) -> Recorded:
        """Return the columns of the drawn tokens [rows, time], the last of which nobody has been told yet."""
        assert self._step is not None
        columns = [*self._columns, _numbers(self._step, token_ids[:, len(self._columns)])]
        token_ids = token_ids[:, : len(columns)]
        ended = torch.isin(token_ids, token_ids.new_tensor(ends)).long()
        # An EOS is itself a token of the answer.
        mask = ended.cumsum(-1) - ended == 0
        numbers: dict[str, Any] = {
            name: torch.where(mask, column, 0.0)
            for name, column in zip(
                ("alpha", "log_z", "q_logprobs", "policy_logprobs", "target_logprobs"),
                torch.stack(columns, dim=-1).unbind(0),
                strict=True,
            )
        }
        return Recorded(token_ids=token_ids, mask=mask, **numbers)


def _numbers(step: Step, token_ids: Tensor) -> Tensor:
    """Return [5, rows]: α, log Z, and what q, π_θ and π_t say of one token per row."""
    # A pad behind an ended row may have no probability; what is said of it is masked out.
    index = token_ids.clamp_max(step.policy_logprobs.shape[-1] - 1).unsqueeze(-1)
    said = [
        logprobs.gather(-1, index).squeeze(-1)
        for logprobs in (step.mixed.logprobs, step.policy_logprobs, step.target_logprobs)
    ]
    return torch.stack([step.mixed.alpha, step.mixed.log_z, *said])
