from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.experiments.curves import read_curve, run_name

ROWS = """step,beta/mean,samples/total,val/beta
1,0.1,8,
2,0.2,16,
2,,,0.15
3,,24,
"""


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    file = tmp_path / "ledpo" / "version_0" / "metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text(ROWS)
    return file


def test_points(metrics: Path) -> None:
    assert read_curve(metrics, "beta/mean") == [(1, 0.1), (2, 0.2)]
    assert read_curve(metrics, "beta/mean", "samples/total") == [(8, 0.1), (16, 0.2)]
    # Validation's row has no count of its own: what had been drawn before it is what it cost.
    assert read_curve(metrics, "val/beta", "samples/total") == [(16, 0.15)]
    assert run_name(metrics) == "ledpo/version_0"


def test_mistakes(metrics: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="key must be a column"):
        read_curve(metrics, "beta/median")
    with pytest.raises(UserError, match="x must be a column"):
        read_curve(metrics, "beta/mean", "tokens")
    with pytest.raises(UserError, match="does not exist"):
        read_curve(tmp_path / "metrics.csv", "beta/mean")
