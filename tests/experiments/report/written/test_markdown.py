from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.written.markdown import as_markdown


def test_a_table() -> None:
    table = Table("A", ("cell", "score"), (("a|b", "0.1 ± 0.2"), ("q*", "–")), notes=("One.",))
    assert as_markdown(table) == (
        "### A\n\n| cell | score |\n| --- | ---: |\n| a\\|b | 0.1 ± 0.2 |\n| q\\* | – |\n\n- One.\n"
    )
