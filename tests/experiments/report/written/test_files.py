import shutil
from pathlib import Path

from pyarrow import compute, parquet  # type: ignore[import-untyped]
from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_several
from qstar_pl.experiments.report.written.files import write_tables


def test_files_are_the_same_whatever_the_times(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR}
    folder = results_folder(tmp_path / "made", cells)
    files = write_tables(read_several(folder), tmp_path / "one")
    assert [file.name for file in files] == ["tables.md", "tables.tex", "times.md", "times.tex"]
    other = Path(shutil.copytree(folder, tmp_path / "again"))
    times = parquet.read_table(other / "times.parquet")
    slower = compute.multiply(times.column("value"), 1.7)
    parquet.write_table(times.set_column(times.column_names.index("value"), "value", slower), other / "times.parquet")
    again = write_tables(read_several(other), tmp_path / "two")
    assert [one.read_bytes() == two.read_bytes() for one, two in zip(files, again, strict=True)] == [
        True,
        True,
        False,
        False,
    ]


def test_several_experiments_stand_in_one_file(tmp_path: Path) -> None:
    for name, cells in (("mvp", {"ppo": PPO, "q_star": Q_STAR}), ("main", {"ppo": PPO, "q_star": Q_STAR})):
        results_folder(tmp_path / "runs" / name, cells, [0, 1], name=name)
    text = write_tables(read_several(tmp_path / "runs"), tmp_path)[0].read_text()
    assert text.index("## Made by hand (main, tiny)") < text.index("## Made by hand (mvp, tiny)")
    assert text.count("### Hypotheses") == text.count("### Quick validation") == 1
    assert "criterion 5" not in text
    assert "criterion 5" in (tmp_path / "times.md").read_text()
