"""Models in parts that one process has more work for than another."""

import json
from pathlib import Path

import pytest
from reference.ranks import finish, start


@pytest.mark.parametrize("gathering", ["streamed", pytest.param("gathered", marks=pytest.mark.slow)])
def test_unequal_work_neither_hangs_nor_mixes_up_passes(tmp_path: Path, gathering: str) -> None:
    """A judge with answers to compare on one rank alone, chunks of different numbers, and prompts read once on one."""
    words = (str(tmp_path / "found.json"), gathering)
    finish([start("two_ranks_uneven.py", *words, rank=rank) for rank in range(2)], limit_s=150)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["metrics"]["val/win_rate/no_verdict"] == 0.5
    assert found["shape"] == [12, 8]
