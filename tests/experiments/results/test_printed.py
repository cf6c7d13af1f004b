"""What a terminal shows at the end of an experiment."""

import io
from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.console import SpellingConsole
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.results.printed import print_results


def test_cells_differences_and_verdicts_fit_a_terminal(tmp_path: Path) -> None:
    text = io.StringIO()
    cells = {"ppo": PPO, "q_star": Q_STAR}
    print_results(read_results(results_folder(tmp_path, cells)), SpellingConsole(file=text, width=100))
    lines = text.getvalue().splitlines()
    row = next(line.split() for line in lines if line.startswith("q_star "))
    assert row[0] == "q_star"
    assert "ppo" in row
    assert any(word.startswith("+0.") for word in row)
    for line in ("Hypotheses", "Criteria of success", "Quick validation"):
        assert line in lines
    assert next(line for line in lines if "check 3" in line).startswith("  check 3  ")
    assert any(line.strip().startswith(("criterion 2  supported: the sample efficiency",)) for line in lines)
