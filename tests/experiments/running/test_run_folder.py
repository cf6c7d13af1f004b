"""What a run has left says why it failed."""

from pathlib import Path

import pytest

from qstar_pl.experiments.running.run_folder import RunFolder


@pytest.mark.parametrize(
    ("code", "log", "reason"),
    [
        (143, "step 2/6\ndraw: qstar curves\n", "it was killed by signal 15"),
        (137, "", "it was killed by signal 9"),
        (137, "error: lr must be positive, got -1\n", "lr must be positive, got -1"),
        (1, "step 2/6\nno room\n", "no room"),
        (1, "", "it wrote nothing"),
    ],
)
def test_the_reason_is_its_error_or_the_signal_that_killed_it(tmp_path: Path, code: int, log: str, reason: str) -> None:
    folder = RunFolder(tmp_path, "one", 0)
    folder.path.mkdir(parents=True)
    folder.log.write_text(log)
    folder.end(code)
    assert folder.reason() == reason
