"""Shared fixtures."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Nothing in the suite may reach for a hub: what is not on the disk must fail at once, in the project's own words.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("WANDB_MODE", "offline")
sys.path.insert(0, str(Path(__file__).parent))
# Tests of SIGHUP mean the same where the suite itself runs under nohup, which has it ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

REPOSITORY = Path(__file__).resolve().parents[1]


def _data_folder() -> Path | None:
    candidates = [REPOSITORY / "shared" / "data", REPOSITORY.parent / "shared" / "data"]
    if named := os.environ.get("QSTAR_DATA_DIR"):
        candidates.insert(0, Path(named))
    return next((folder for folder in candidates if folder.is_dir()), None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets in their native schema; the test is skipped where there is none."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("no real data here; QSTAR_DATA_DIR names the folder")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder; the seed that Lightning puts into the environment does not leak into other tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    monkeypatch.setenv("QSTAR_DATE", "2000-01-01")  # so that the date which a run sets ends with the test
    return tmp_path


@pytest.fixture(scope="session")
def lightning() -> None:
    """Lightning's log handler keeps the stderr of its import, which must not be that of a single test."""
    import lightning.pytorch  # noqa: F401


def _end_wandb() -> None:
    """Do what the end of the process would: W&B's own process would stay in this test's folder."""
    if (wandb := sys.modules.get("wandb")) is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()
        wandb.teardown()


@pytest.fixture(autouse=True)
def _wandb_ends() -> Iterator[None]:
    """A run that a test leaves open would print its end into the next one."""
    yield
    _end_wandb()


@pytest.fixture
def qstar(lightning: None, isolated: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call the `qstar` command in this process, in an empty folder: words → (exit code, stdout, stderr)."""
    from qstar_pl.cli import main

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        _end_wandb()
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    """A run's metrics.csv, as training and validation write it: rows that lack what the other logs."""
    file = tmp_path / "ledpo" / "version_0" / "metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text("step,beta/mean,samples/total,val/beta\n1,0.1,8,\n2,0.2,16,\n2,,,0.15\n3,,24,\n")
    return file
