"""The tiny world's programs, run in a sandbox."""

from qstar_pl.cli.embedded_programs import EmbeddedPrograms
from qstar_pl.rewards import ExecutionReward


def test_good_programs_pass_and_others_do_not() -> None:
    adapter = EmbeddedPrograms(6)
    examples = [adapter.example(row, where) for where, row in adapter.rows("tiny", None)]
    reward = ExecutionReward(workers=1)
    assert [reward.unknown(one) for one in examples] == [None] * 6
    good = reward.verdicts(examples, [one.chosen or "" for one in examples])
    assert [one.passed for one in good] == [True] * 6, good
    bad = reward.verdicts(examples, ["    return None\n"] * 6)
    assert not any(one.passed for one in bad)
