from pathlib import Path

import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_several
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.written.files import write_tables
from qstar_pl.experiments.report.written.latex import as_latex, escaped


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5%", r"a\_b \& 5\%"),
        ("-0.1 to 2e-3", "$-$0.1 to 2e-3"),
        ("off-policy", "off-policy"),
        ("α ± 1 × ‖θ‖²", r"$\alpha$ $\pm$ 1 $\times$ $\|$$\theta$$\|$$^2$"),
        ("<0.001", "$<$0.001"),
        ("\\{x}", r"\textbackslash{}\{x\}"),
    ],
    ids=range(6),
)
def test_what_means_something_to_latex_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_a_table_uses_booktabs() -> None:
    lines = as_latex(Table("A", ("cell", "score"), (("a", "1"),), notes=("One.",))).splitlines()
    assert lines[4:11] == [
        "\\begin{tabular}{lr}",
        "\\toprule",
        "cell & score \\\\",
        "\\midrule",
        "a & 1 \\\\",
        "\\bottomrule",
        "\\end{tabular}",
    ]


def test_all_that_a_report_says_can_be_typeset(tmp_path: Path) -> None:
    """LaTeX without fonts for them stops at letters other than ASCII."""
    folder = results_folder(tmp_path, {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR})
    for file in write_tables(read_several(folder), tmp_path):
        if file.suffix == ".tex":
            text = file.read_text()
            assert text.isascii()
            assert text.replace("\\$", "").count("$") % 2 == 0
            assert text.count("\\begin{") == text.count("\\end{")
