"""Work that comes in pieces, of which processes have different numbers."""

import pytest
import torch
from reference.tiny_models import TableModel, prompt_batch

from qstar_pl.errors import UserError
from qstar_pl.rollout import Alone, absent, decode
from qstar_pl.rollout.pace import LOOK_EVERY, Pace, in_company


def until(others: list[bool]) -> Pace:
    """A pace at which the other processes say these words, one a time."""
    words = iter(others)
    return Pace(everyone=lambda flag: next(words) and flag)


def test_the_last_piece_is_done_again_until_all_processes_have_had_theirs() -> None:
    assert list(in_company("abc", Pace())) == ["a", "b", "c"]
    assert list(in_company("ab", until([True, False, False, True]))) == ["a", "b", "b", "b"]


def test_finished_answers_are_read_as_often_as_elsewhere_and_say_the_same(monkeypatch) -> None:
    table = torch.randn(11, 11, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(absent, "MAX_ELEMENTS", 5 * 11)  # five rows of one token at a time
    policy, target = TableModel(table), TableModel(-table)
    prompts, options = prompt_batch([[3, 4], [5]]), {"samples": 4, "seed": 0, "max_new_tokens": 1}
    alone = decode(prompts, policy, target, Alone("policy"), **options)
    assert target.passes == 2
    together = decode(prompts, policy, target, Alone("policy"), **options, pace=until([False, False, False, True]))
    assert target.passes == 2 + 4
    assert policy.passes == target.passes
    assert torch.equal(together.target_logprobs, alone.target_logprobs)
    assert torch.equal(together.kl_behavior_target, alone.kl_behavior_target)


def test_only_a_cpu_is_looked_at_for_every_token() -> None:
    assert Pace().tokens_between_looks(torch.device("cpu")) == 1
    assert Pace().tokens_between_looks(torch.device("cuda")) == LOOK_EVERY > 1
    assert Pace(look_every=3).tokens_between_looks(torch.device("cpu")) == 3
    with pytest.raises(UserError, match="look_every must be at least 1, got 0"):
        Pace(look_every=0)
