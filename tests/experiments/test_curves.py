from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.experiments.curves import read_curve, run_name


def test_points(curve: Path) -> None:
    assert read_curve(curve, "beta/mean") == [(1, 0.1), (2, 0.2)]
    assert read_curve(curve, "beta/mean", "samples/total") == [(8, 0.1), (16, 0.2)]
    # Validation's row has no count of its own: what had been drawn before it is what it cost.
    assert read_curve(curve, "val/beta", "samples/total") == [(16, 0.15)]
    assert run_name(curve) == "ledpo/version_0"


def test_mistakes(curve: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="key must be a column"):
        read_curve(curve, "beta/median")
    with pytest.raises(UserError, match="x must be a column"):
        read_curve(curve, "beta/mean", "tokens")
    with pytest.raises(UserError, match="does not exist"):
        read_curve(tmp_path / "metrics.csv", "beta/mean")
