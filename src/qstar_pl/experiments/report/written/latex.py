"""Tables as LaTeX, with booktabs."""

from __future__ import annotations

import re

from qstar_pl.experiments.report.tables.table import Table

SYMBOLS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "$-$",
    "‖": r"$\|$",
    "²": "$^2$",
    "–": "--",
    "…": r"\dots{}",
    "→": r"$\to$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "∞": r"$\infty$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "θ": r"$\theta$",
    "π": r"$\pi$",
    "Σ": r"$\Sigma$",
    "<": "$<$",
    ">": "$>$",
    "|": r"$|$",
}
_MINUS = re.compile(r"(?<![\w.)])-(?=\d)")


def as_latex(table: Table) -> str:
    """Return a floating table (`\\usepackage{booktabs, threeparttable}`), its notes below it."""
    columns = "l" * table.words + "r" * (len(table.heads) - table.words)
    rows = "".join(f"{_line(row)}\n" for row in table.rows)
    notes = "".join(f"\\item {escaped(note)}\n" for note in table.notes)
    return (
        "\\begin{table}\n\\centering\n\\begin{threeparttable}\n"
        f"\\caption{{{escaped(table.title)}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{_line(table.heads)}\n\\midrule\n{rows}\\bottomrule\n"
        "\\end{tabular}\n"
        + (f"\\begin{{tablenotes}}\\footnotesize\n{notes}\\end{{tablenotes}}\n" if notes else "")
        + "\\end{threeparttable}\n\\end{table}\n"
    )


def escaped(text: str) -> str:
    """Return a text whose characters LaTeX takes for what they are; a minus before a number is one."""
    text = _MINUS.sub("−", text).replace("`", "")
    return "".join(SYMBOLS.get(sign, sign) for sign in text)


def _line(cells: tuple[str, ...]) -> str:
    return f"{' & '.join(map(escaped, cells))} \\\\"
