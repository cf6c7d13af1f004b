import io
from pathlib import Path

from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.console import SpellingConsole
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.main import comparison_table, main_table
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.written.terminal import parts, print_tables


def test_a_wide_table_is_printed_in_parts_that_name_their_rows() -> None:
    table = Table("A", ("cell", "one", "two", "three"), (("a" * 9, "1" * 8, "2" * 8, "3" * 8),))
    assert [part.heads for part in parts(table, 32)] == [("cell", "one", "two"), ("cell", "three")]
    assert [part.heads for part in parts(table, 80)] == [table.heads]


def test_nothing_is_cut_off_or_folded_in_80_columns(tmp_path: Path) -> None:
    folder = results_folder(tmp_path, {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR})
    results = read_results(folder)
    out = io.StringIO()
    tables = [main_table(results), comparison_table(results), Table("Empty", ("cell",), ())]
    print_tables(tables, SpellingConsole(file=out, width=80), notes=1)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for table in tables:
        for row in table.rows:
            assert all(any(text in line for line in lines) for text in row)
    assert "Empty" not in out.getvalue()
