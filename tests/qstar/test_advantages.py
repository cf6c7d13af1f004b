import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.qstar.advantages import GroupNormalised, LeaveOneOut, MeanBaseline, RawReward

REWARDS = torch.tensor([1.0, 2.0, 6.0, 10.0, 20.0])
PROMPT = torch.tensor([7, 7, 7, 2, 2])


def test_hand_computed_values():
    assert RawReward()(REWARDS, PROMPT).tolist() == REWARDS.tolist()
    assert MeanBaseline()(REWARDS, PROMPT).tolist() == pytest.approx([-2.0, -1.0, 3.0, -5.0, 5.0])
    assert LeaveOneOut()(REWARDS, PROMPT).tolist() == pytest.approx([-3.0, -1.5, 4.5, -10.0, 10.0])
    # Sample s.d. of 1, 2, 6 is sqrt(7); of 10, 20 it is sqrt(50).
    expected = [-2 / 7**0.5, -1 / 7**0.5, 3 / 7**0.5, -5 / 50**0.5, 5 / 50**0.5]
    assert GroupNormalised(epsilon=0.0)(REWARDS, PROMPT).tolist() == pytest.approx(expected, rel=1e-6)


def test_leave_one_out_baseline_does_not_move_with_its_own_reward():
    changed = REWARDS.clone()
    changed[0] += 100
    difference = LeaveOneOut()(changed, PROMPT) - LeaveOneOut()(REWARDS, PROMPT)
    assert difference.tolist() == pytest.approx([100.0, -50.0, -50.0, 0.0, 0.0])


def test_the_baseline_is_of_the_other_sets():
    """Sets {1, 2}, {6} of prompt 7 and {10}, {20} of prompt 2."""
    sets = torch.tensor([0, 0, 1, 2, 3])
    assert LeaveOneOut()(REWARDS, PROMPT, sets).tolist() == pytest.approx([-5.0, -4.0, 4.5, -10.0, 10.0])
    alone = torch.arange(5)
    assert torch.equal(LeaveOneOut()(REWARDS, PROMPT, alone), LeaveOneOut()(REWARDS, PROMPT))
    changed = REWARDS.clone()
    changed[0] += 100
    difference = LeaveOneOut()(changed, PROMPT, sets) - LeaveOneOut()(REWARDS, PROMPT, sets)
    assert difference.tolist() == pytest.approx([100.0, 0.0, -50.0, 0.0, 0.0])


def test_one_set_has_no_others():
    with pytest.raises(
        UserError, match=r"answers_per_set must be below samples_per_prompt .* one set for all 4 answers"
    ):
        LeaveOneOut().check(4, 1)
    LeaveOneOut().check(4, 2)
    MeanBaseline().check(4, 1)


def test_equal_rewards_give_no_advantage():
    same = torch.full((4,), 3.0)
    for advantage in (MeanBaseline(), LeaveOneOut(), GroupNormalised()):
        assert advantage(same, torch.zeros(4).long()).abs().max() == 0


@pytest.mark.parametrize("advantage", [MeanBaseline(), LeaveOneOut(), GroupNormalised()])
def test_one_sample_has_no_baseline(advantage):
    with pytest.raises(UserError, match="samples_per_prompt must be at least 2"):
        advantage.check(1)
    RawReward().check(1)
