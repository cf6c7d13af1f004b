"""Shared fixtures."""

import os
import sys
from pathlib import Path

import pytest

# Nothing in the suite may reach for a hub: what is not on the disk must fail at once, in the project's own words.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("WANDB_MODE", "offline")
sys.path.insert(0, str(Path(__file__).parent))

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
