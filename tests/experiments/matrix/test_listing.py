from pathlib import Path

from qstar_pl.cli.shipped import configuration
from qstar_pl.experiments.matrix.listing import listing

MVP = Path(__file__).resolve().parents[3] / "configs" / "experiments" / "mvp.yaml"


def test_cells_budget_and_time() -> None:
    lines = listing([MVP], configuration).splitlines()
    assert lines[0] == "mvp: PPO against q*"
    tiny = next(line for line in lines if line.startswith("  tiny"))
    assert tiny == "  tiny  2 cells × 3 seeds, 3,200 samples each; about 1.7 min a run, 10 min one after the other"
    assert max(map(len, lines)) <= 110
