"""Predicted speed-ups against their closed forms, and what is chosen from them."""

from types import SimpleNamespace

import pytest

from qstar_pl.rollout import POLICY, TARGET
from qstar_pl.samplers.drafters.alternating import AlternatingDrafting
from qstar_pl.samplers.drafters.drafter import OWN, Drafting
from qstar_pl.samplers.drafters.model import ModelDrafting
from qstar_pl.samplers.drafters.role import RoleDrafting
from qstar_pl.samplers.speculation.memory import Memory
from qstar_pl.samplers.speculation.schedule import AGAIN, LAW, Schedule

SETTING = SimpleNamespace(verifiers=(POLICY, TARGET), always=True, own=(None,), feeds={})


def memory(policy: float = 1.0, target: float = 1.0, drafter: float = 0.05, per_token: float = 0.0) -> Memory:
    """Costs of passes in arbitrary units; a pass of c tokens costs 1 + per_token·(c − 1) of one."""
    found = Memory()
    for name, cost in ((POLICY, policy), (TARGET, target), (OWN, drafter), (LAW, 0.0)):
        for columns in (1, 9):
            found.costs.note(name, 1, columns, cost * (1 + per_token * (columns - 1)))
    return found


def predicted(drafting: Drafting, known: Memory, k: int, acceptance: float) -> float | None:
    return Schedule(known, drafting, (POLICY, TARGET), None, True).predicted(1, k, acceptance)


@pytest.mark.parametrize(
    ("r", "k", "acceptance", "expected"),
    [(1.0, 3, 0.8, 1.31), (1.0, 5, 0.9, 1.42), (0.3, 3, 0.7, 1.64), (0.1, 5, 0.95, 3.69)],
)
def test_the_policys_drafts(r: float, k: int, acceptance: float, expected: float) -> None:
    """S = (1 + r) E / ((k + a^k) r + 1), the numbers by hand."""
    found = predicted(RoleDrafting(POLICY, SETTING), memory(policy=r), k, acceptance)
    assert found == pytest.approx(expected, abs=6e-3)


def test_a_small_models_drafts() -> None:
    """S = E / (1 + (k + a^k) c_d / (c_θ + c_t))."""
    found = predicted(ModelDrafting(SETTING), memory(drafter=0.1), 3, 0.8)
    assert found == pytest.approx((1 - 0.8**4) / 0.2 / (1 + (3 + 0.8**3) * 0.05))


@pytest.mark.parametrize("acceptance", [0.0, 0.5, 0.9, 1.0])
def test_alternating_single_drafts_never_lose(acceptance: float) -> None:
    """S = 2 / (2 − a) with models of equal cost and blocks that cost a pass."""
    found = predicted(AlternatingDrafting(SETTING), memory(), 1, acceptance)
    assert found == pytest.approx(2 / (2 - acceptance))


@pytest.mark.parametrize(("acceptance", "chosen"), [(0.95, 8), (0.8, 6), (0.6, 3)])
def test_the_best_block_is_chosen(acceptance: float, chosen: int) -> None:
    known = memory(policy=0.1)
    known.tested, known.accepted = 100.0, 100 * acceptance
    schedule = Schedule(known, RoleDrafting(POLICY, SETTING), (POLICY, TARGET), None, True)
    gains = {k: schedule.predicted(1, k, acceptance) for k in range(1, 9)}
    assert schedule.choose(1) == max(gains, key=lambda k: gains[k] or 0) == chosen


def test_what_does_not_pay_is_left_and_tried_again() -> None:
    known = memory()
    known.tested, known.accepted = 100.0, 30.0
    schedule = Schedule(known, RoleDrafting(POLICY, SETTING), (POLICY, TARGET), 3, True)
    choices = [schedule.choose(1) for _ in range(2 * AGAIN)]
    assert choices.count(3) == 2
    assert choices.count(0) == 2 * AGAIN - 2
    always = Schedule(known, RoleDrafting(POLICY, SETTING), (POLICY, TARGET), 3, False)
    assert [always.choose(1) for _ in range(3)] == [3, 3, 3]


def test_the_first_tokens_are_plain_where_nothing_is_known() -> None:
    schedule = Schedule(Memory(), RoleDrafting(POLICY, SETTING), (POLICY, TARGET), None, True)
    assert [schedule.choose(1) for _ in range(2)] == [0, 0]
