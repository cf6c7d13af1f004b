"""What a command does after its output has lost its reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qstar_pl.cli.readerless import outlive_readers

# A command that prints more than a pipe holds, then leaves a file, as `qstar fit | head -1` should.
LONG = """
import sys
from pathlib import Path
from qstar_pl.cli.errors import one_line_errors
from qstar_pl.cli.readerless import outlive_readers
outlive_readers()
def run():
    for number in range(100_000):
        print(number, file=(sys.stdout, sys.stderr)[number % 2])
    Path("saved").touch()
    return 0
sys.exit(one_line_errors(run))
"""


@pytest.mark.parametrize("words", [["configs"], ["--help"], ["configs", "--help"]])
def test_a_closed_pipe_is_silent(words: list[str]) -> None:
    """As of `qstar configs | head -1`: what is short enough for the pipe shows its end only when it is flushed."""
    command = [sys.executable, "-m", "qstar_pl", *words]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_work_goes_on_without_a_reader(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", LONG], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() in ("0\n", "1\n")
    process.stdout.close()
    assert process.wait(60) == 0
    assert (tmp_path / "saved").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_once() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        done = subprocess.run(
            [sys.executable, "-m", "qstar_pl", "configs"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: no space left on the device\n")


def test_streams_of_others_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    outlive_readers()
    assert (sys.stdout, sys.stderr) == before
