from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from qstar_pl.theory.pictures import save_pictures

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "docs/theory"


@pytest.mark.skipif(
    f"matplotlib=={version('matplotlib')}" not in (ROOT / "constraints.txt").read_text(),
    reason="another matplotlib writes other bytes",
)
def test_the_figures_of_the_document_are_those_of_the_command(tmp_path: Path) -> None:
    for path in save_pictures(tmp_path, "svg"):
        assert path.read_text() == (DOCUMENTS / path.name).read_text()
