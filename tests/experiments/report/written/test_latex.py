import re
import shutil
import subprocess
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
        ("a_b & 5%", r"a\_\allowbreak{}b \& 5\%"),
        ("$3 #4 ~5 ^6", r"\$3 \#4 \textasciitilde{}5 \textasciicircum{}6"),
        ("-0.1 to 2e-3", "$-$0.1 to 2e-3"),
        ("off-policy", "off-policy"),
        ("α ± 1 × ‖θ‖²", r"$\alpha$ $\pm$~1 $\times$ $\|$$\theta$$\|$$^2$"),
        ("<0.001", "$<$0.001"),
        ("\\{x}", r"\textbackslash{}\{x\}"),
    ],
    ids=range(7),
)
def test_what_means_something_to_latex_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_a_table_uses_booktabs_and_goes_on_over_pages() -> None:
    lines = as_latex(Table("A", ("cell", "score"), (("a", "1"),), notes=("One.",))).splitlines()
    head = ["\\toprule", "cell & score \\\\", "\\midrule"]
    assert lines == [
        "\\begingroup\\scriptsize\\setlength{\\tabcolsep}{3pt}",
        "\\begin{longtable}{lr}",
        "\\caption{A}\\\\",
        *head,
        "\\endfirsthead",
        *head,
        "\\endhead",
        "a & 1 \\\\",
        "\\bottomrule",
        "\\end{longtable}",
        "\\begin{itemize}",
        "\\item One.",
        "\\end{itemize}",
        "\\endgroup",
    ]


def test_a_wide_table_shares_the_line() -> None:
    rows = (("a_cell", "a sentence that is as long as a claim of the source", *["0.123 ± 0.456"] * 6),)
    text = as_latex(Table("A", ("cell", "claim", *"abcdef"), rows, 2))
    shares = [float(one) for one in re.findall(r"dimexpr ([\d.]+)\\linewidth", text)]
    assert len(shares) == 8
    assert sum(shares) == pytest.approx(1.0, abs=1e-3)
    assert text.count("raggedright") == 2


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The .tex files of a report whose names and words hold all that LaTeX could stumble over."""
    folder = tmp_path_factory.mktemp("tex")
    cells = {"ppo": PPO, "off_policy-5%&#1": OFF_POLICY, "q*_{α=½}~$x^2$\\a": Q_STAR}
    results_folder(folder, cells, comparisons=[("q*_{α=½}~$x^2$\\a", "off_policy-5%&#1")])
    found = write_tables(read_several(folder), folder)
    return {file.name: file.read_text(encoding="utf-8") for file in found if file.suffix == ".tex"}


def test_all_that_a_report_says_can_be_typeset(texts: dict[str, str]) -> None:
    """LaTeX without fonts for them stops at letters other than ASCII, and at signs that mean something to it."""
    assert sorted(texts) == ["tables.tex", "times.tex"]
    for text in texts.values():
        assert text.isascii()
        bare = re.sub(r"\\[&%$#_{}\\]", "", text)
        assert bare.count("$") % 2 == 0
        assert not re.search(r"[%#~^](?!\$)", re.sub(r"\$[^$]*\$~?", "", bare))
        assert "_" not in bare
        assert bare.count("{") == bare.count("}")
        opened = list[str]()
        for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
            if kind == "begin":
                opened.append(name)
            else:
                assert opened.pop() == name
        assert opened == []
        assert text.count("\\begingroup") == text.count("\\endgroup")


def test_every_row_has_as_many_cells_as_there_are_columns(texts: dict[str, str]) -> None:
    for text in texts.values():
        for columns, body in re.findall(r"\\begin\{longtable\}\{([^\n]*)\}\n(.*?)\\end\{longtable\}", text, re.DOTALL):
            count = len(columns) if columns.strip("lr") == "" else columns.count("p{")
            rows = [line for line in body.splitlines() if line.endswith("\\\\") and not line.startswith("\\caption")]
            assert len(rows) >= 3
            assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {count}


def test_it_is_typeset(texts: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex is installed")
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    inputs = "".join(f"\\input{{{name}}}" for name in texts)
    (tmp_path / "report.tex").write_text(
        "\\documentclass{article}\\usepackage{array, booktabs, longtable}"
        f"\\begin{{document}}{inputs}\\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    too_wide = [float(one) for one in re.findall(r"Overfull .hbox \((\d+\.\d+)pt", done.stdout)]
    assert max(too_wide, default=0.0) < 12.0
