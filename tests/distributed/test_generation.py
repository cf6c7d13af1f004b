"""Pace and errors of decoding, on one process; what needs two processes is in test_sharding.py."""

import time

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.distributed import FSDP2Strategy, generating
from qstar_pl.errors import UserError
from qstar_pl.rollout import Alone, decode
from qstar_pl.rollout.pace import Pace


def draw(**options):
    # Token 1 ends an answer; it comes sooner or later.
    model = TableModel(torch.zeros(11, 11), eos=(1,))
    return decode(prompt_batch([[3, 4], [5]]), model, model, Alone("policy"), samples=4, seed=0, **options)


def test_company_changes_nothing_but_when_the_loop_ends() -> None:
    """A process whose answers have ended goes on as long as another one has not, and writes nothing more."""
    alone, asked = draw(max_new_tokens=60), []

    def everyone(flag: bool) -> bool:
        asked.append(flag)
        return flag and len(asked) >= 50

    together = draw(max_new_tokens=60, pace=Pace(everyone=everyone))
    assert len(asked) == 50 > alone.completion_mask.shape[1]
    assert torch.equal(together.completion_ids, alone.completion_ids)
    assert torch.equal(together.completion_mask, alone.completion_mask)
    assert torch.equal(together.behavior_logprobs, alone.behavior_logprobs)


def test_a_rollout_that_takes_too_long_ends_with_a_message(monkeypatch) -> None:
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    message = r"rollout_limit_s must be enough for a rollout, got 5, and 6.0 s .* 3 tokens"
    with pytest.raises(UserError, match=message), generating([], limit_s=5.0) as pace:
        draw(max_new_tokens=60, pace=pace)


def test_the_limit_is_over_with_its_block() -> None:
    with pytest.raises(ZeroDivisionError), generating([], limit_s=1e-9):
        raise ZeroDivisionError
    assert draw(max_new_tokens=4).completion_ids.shape == (8, 4)


@pytest.mark.parametrize(("option", "value"), [("timeout_s", 0.0), ("rollout_limit_s", -1.0)])
def test_limits_are_positive(option, value) -> None:
    with pytest.raises(UserError, match=rf"trainer.strategy.{option} must be positive, got {value}"):
        FSDP2Strategy(**{option: value})
