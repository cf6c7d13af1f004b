"""Which way the next rollout goes, given how long the last ones took."""

from itertools import pairwise

from qstar_pl.samplers.speculation.memory import FIRST, LONGEST_WAIT, Memory, Ways


def drive(ways: Ways, plain: float, drafted: float, rollouts: int) -> list[bool]:
    """Return which of so many rollouts drafted, if they take so long."""
    chosen = []
    for _ in range(rollouts):
        chosen.append(ways.choose())
        ways.note(chosen[-1], drafted if chosen[-1] else plain)
    return chosen


def test_two_rollouts_of_each_way_decide() -> None:
    assert drive(Ways(), 1.0, 0.5, 9) == [False, True, False] + [True] * 6
    assert drive(Ways(), 1.0, 1.5, 9) == [False, True, False, True] + [False] * 5


def test_a_slow_first_rollout_and_a_small_gain_do_not_speak_for_drafting() -> None:
    ways = Ways()
    for drafted, seconds in ((False, 5.0), (True, 1.2), (False, 1.0), (True, 0.99)):
        assert ways.choose() == drafted
        ways.note(drafted, seconds)
    assert not ways.choose()


def test_the_slower_way_is_tried_again_ever_more_rarely() -> None:
    chosen = drive(Ways(), 1.0, 1.5, 1000)
    tries = [i for i, drafted in enumerate(chosen) if drafted][2:]
    waits = [after - before for before, after in pairwise(tries)]
    assert tries[0] == 3 + FIRST
    assert waits[:3] == [2 * FIRST, 4 * FIRST, LONGEST_WAIT]
    # What a way that is half as slow again costs in the long run: less than 3%.
    seconds = sum(1.5 if drafted else 1.0 for drafted in chosen)
    assert seconds < 1.03 * len(chosen)


def test_a_way_that_has_become_the_faster_one_is_found() -> None:
    ways = Ways()
    drive(ways, 1.0, 1.5, 40)
    later = drive(ways, 1.0, 0.5, 200)
    assert all(later[-20:])
    back = drive(ways, 0.2, 0.5, 200)
    assert not any(back[-20:])


def test_numbers_of_rows_are_told_apart() -> None:
    memory = Memory()
    memory.way(1).note(False, 1.0)
    memory.way(9).note(False, 4.0)
    assert [memory.plain_seconds(rows) for rows in (1, 2, 8, 15)] == [1.0, None, 4.0, 4.0]


def test_recent_proposals_count_more() -> None:
    memory = Memory()
    for _ in range(400):
        memory.learn(3, 0)
    assert memory.acceptance < 0.01
    for _ in range(60):
        memory.learn(3, 3)
    assert 0.6 < memory.acceptance < 0.9
