"""What a wheel installs runs in an empty folder, without the repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder with the package as its wheel unpacks."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    # Built from links, so that nothing is written into the repository.
    for name in ("src", "callbacks", "configs", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(repository / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(source)], place)
    (wheel,) = place.glob("*.whl")
    run([*pip, "install", "--no-deps", "--target", str(place / "site"), str(wheel)], place)
    return place / "site"


def run(command: list[str], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def qstar(installed: Path, cwd: Path, *words: str) -> str:
    return run([sys.executable, "-m", "qstar_pl", *words], cwd, PYTHONPATH=str(installed))


def test_it_is_the_wheel_that_runs_and_nothing_is_missing(installed: Path, tmp_path: Path, repository: Path):
    where = run(
        [sys.executable, "-c", "import qstar_pl; print(qstar_pl.__file__)"], tmp_path, PYTHONPATH=str(installed)
    )
    assert Path(where.strip()).is_relative_to(installed)
    package = repository / "src" / "qstar_pl"
    wanted = {
        file.relative_to(package)
        for folder in (package, package / "callbacks", package / "configs")
        for file in folder.rglob("*")
        if file.is_file() and file.suffix not in (".pyc",)
    }
    assert {file for file in wanted if not (installed / "qstar_pl" / file).is_file()} == set()


def test_quickstart_shows_its_table(installed: Path, tmp_path: Path):
    sizes = ("--trainer.max_steps=2", "--trainer.val_check_interval=4", "--data.val_limit=8", "--data.max_rows=60")
    assert "gold reward rose in" in qstar(installed, tmp_path, "quickstart", *sizes)
    assert (tmp_path / "runs" / "quickstart" / "quickstart.png").is_file()


def test_plan_finds_a_configuration_by_name(installed: Path, tmp_path: Path):
    assert "peak:" in qstar(installed, tmp_path, "plan", "--config", "experiment/tiny_q_star")
