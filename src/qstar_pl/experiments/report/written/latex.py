"""Tables as LaTeX, with packages that every installation has: booktabs, longtable, array."""

from __future__ import annotations

import re

from qstar_pl.experiments.report.tables.table import Table

SYMBOLS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#{}"},
    "_": r"\_\allowbreak{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "± ": r"$\pm$~",
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
    "≈": r"$\approx$",
    "½": r"$\frac12$",
    "’": "'",
    "“": "``",
    "”": "''",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "θ": r"$\theta$",
    "λ": r"$\lambda$",
    "π": r"$\pi$",
    "σ": r"$\sigma$",
    "Σ": r"$\Sigma$",
    "<": "$<$",
    ">": "$>$",
    "|": r"$|$",
}
_SYMBOL = re.compile("|".join(re.escape(sign) for sign in sorted(SYMBOLS, key=len, reverse=True)))
_MINUS = re.compile(r"(?<![\w.)])-(?=\d)")


LINE = 92
"""Letters of the tables' size that fit a line of the article class."""
BETWEEN = 2
"""Letters' width of the space between two columns."""


def as_latex(table: Table) -> str:
    """Return a table that may go on over pages, no wider than a line, its notes below it.

    Columns have their natural widths where those fit, else shares of the line.
    """
    columns = "".join(_columns(table))
    rows = "".join(f"{_line(row)}\n" for row in table.rows)
    notes = "".join(f"\\item {escaped(note)}\n" for note in table.notes)
    head = f"\\toprule\n{_line(table.heads)}\n\\midrule\n"
    return (
        "\\begingroup\\scriptsize\\setlength{\\tabcolsep}{3pt}\n"
        f"\\begin{{longtable}}{{{columns}}}\n"
        f"\\caption{{{escaped(table.title)}}}\\\\\n{head}\\endfirsthead\n{head}\\endhead\n"
        f"{rows}\\bottomrule\n\\end{{longtable}}\n"
        + (f"\\begin{{itemize}}\n{notes}\\end{{itemize}}\n" if notes else "")
        + "\\endgroup\n"
    )


def _columns(table: Table) -> list[str]:
    """Return the kind of each column: l and r, or their shares of the line if it is too short for all of them."""
    lines = [table.heads, *table.rows]
    count = len(table.heads)
    natural = [max(len(line[place]) for line in lines) for place in range(count)]
    if sum(natural) + BETWEEN * count <= LINE:
        return ["l" if place < table.words else "r" for place in range(count)]
    least = [max(len(word) for line in lines for word in _words(line[place])) for place in range(count)]
    room = max(0, LINE - BETWEEN * count - sum(least))
    wish = [wide - narrow for wide, narrow in zip(natural, least, strict=True)]
    # Square roots: one long sentence in a column must not press all others to a word a line.
    parts = [part**0.5 for part in wish]
    widths = [narrow + room * part / (sum(parts) or 1) for narrow, part in zip(least, parts, strict=True)]
    made = []
    for place, width in enumerate(widths):
        side = "raggedright" if place < table.words else "raggedleft"
        share = (width + BETWEEN) / (sum(widths) + BETWEEN * count)
        made.append(f">{{\\{side}\\arraybackslash}}p{{\\dimexpr {share:.4f}\\linewidth-2\\tabcolsep\\relax}}")
    return made


def _words(text: str) -> list[str]:
    """Return the parts of a text between which a line may end; at least one."""
    return re.split(r"(?<=[\s_-])(?<!± )", text)


def escaped(text: str) -> str:
    """Return a text whose characters LaTeX takes for what they are; a minus before a number is one."""
    text = _MINUS.sub("−", text).replace("`", "")
    return _SYMBOL.sub(lambda one: SYMBOLS[one[0]], text)


def _line(cells: tuple[str, ...]) -> str:
    return f"{' & '.join(map(escaped, cells))} \\\\"
