"""`./dev`: what it installs, when, and what it hands over. Python, pip and just are stand-ins that write down calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SH = "#!/bin/sh\n"
JUST = SH + 'echo "just $*" >>"$LOG"\n'
PIP = SH + 'echo "pip $*" >>"$LOG"\n'
PYTHON = f"""{SH}
case "$1" in
-c) exit "${{TOO_OLD:-0}}" ;;
-m)
    echo "${{0##*/}} $*" >>"$LOG"
    mkdir -p "$3/bin"
    printf '%s' '{PIP}' >"$3/bin/python"
    printf '%s' '{JUST}' >"$3/bin/just"
    chmod +x "$3/bin/python" "$3/bin/just" ;;
esac
"""


class Clone:
    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder, self.log = folder / "clone", folder / "log"
        self.tools = folder / "tools"
        self.folder.mkdir()
        self.tools.mkdir()
        for name in ("dev", "pyproject.toml", "constraints.txt"):
            shutil.copy(repository / name, self.folder / name)
        for name in ("cat", "cksum", "dirname", "uname", "mkdir", "chmod"):
            (self.tools / name).symlink_to(shutil.which(name) or name)
        self.add("python3", PYTHON)

    def add(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> tuple[int, list[str], str]:
        """Exit code, what the stand-ins were called with since the last run, and stderr."""
        self.log.write_text("")
        done = subprocess.run(
            [str(self.folder / "dev"), *words],
            cwd=cwd or self.folder,
            env={"PATH": str(self.tools), "LOG": str(self.log), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, self.log.read_text().splitlines(), done.stderr


@pytest.fixture
def clone(tmp_path: Path, repository: Path) -> Clone:
    return Clone(tmp_path, repository)


def test_the_first_call_installs_and_the_second_starts_at_once(clone: Clone):
    code, calls, _ = clone.run("quickstart", "--seeds", "2")
    assert code == 0
    assert calls[0] == "python3 -m venv .venv"
    torch, project, handed = calls[1:]
    assert torch.endswith("-c constraints.txt torch")
    assert project.endswith("-c constraints.txt -e .[dev]")
    assert handed == "just quickstart --seeds 2"
    assert clone.run("test", "-k", "a b", cwd=clone.folder.parent)[:2] == (0, ["just test -k a b"])


def test_changed_requirements_are_installed_into_the_same_environment(clone: Clone):
    clone.run("test")
    with (clone.folder / "constraints.txt").open("a") as file:
        file.write("# another\n")
    _, calls, _ = clone.run("test")
    assert [call.split()[0] for call in calls] == ["pip", "pip", "just"]


@pytest.mark.parametrize(("gpu", "asks_for_cpu"), [(None, True), (1, True), (0, False)])
def test_torch_comes_without_cuda_where_no_gpu_is_seen(clone: Clone, gpu: int | None, asks_for_cpu: bool):
    (clone.tools / "uname").unlink()
    clone.add("uname", SH + "echo Linux\n")
    if gpu is not None:
        clone.add("nvidia-smi", f"{SH}exit {gpu}\n")
    _, calls, _ = clone.run("test")
    assert ("/whl/cpu" in calls[1]) == asks_for_cpu
    assert "/whl/cpu" not in calls[2]


def test_an_install_that_fails_is_not_taken_for_done(clone: Clone):
    clone.add("python3", PYTHON.replace('echo "pip', 'exit 7; echo "pip'))
    code, calls, _ = clone.run("test")
    assert (code, calls) == (7, ["python3 -m venv .venv"])
    assert not (clone.folder / ".venv" / "installed-for").exists()


def test_a_place_of_ones_own(clone: Clone, tmp_path: Path):
    place = tmp_path / "with space" / "environment"
    place.parent.mkdir()
    code, calls, _ = clone.run("test", QSTAR_VENV=str(place))
    assert code == 0, calls
    assert calls[-1] == "just test"
    assert (place / "installed-for").is_file()
    assert not (clone.folder / ".venv").exists()


def test_an_old_python_is_said(clone: Clone):
    code, calls, said = clone.run("test", TOO_OLD="1")
    assert (code, calls) == (2, [])
    assert said.splitlines()[0].startswith("error: Python must be 3.11 or newer")


def test_it_is_executable_in_a_clone(repository: Path):
    assert os.access(repository / "dev", os.X_OK)
