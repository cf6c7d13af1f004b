"""How help is laid out."""

from qstar_pl.cli.help_format import described, sentences, written
from qstar_pl.cli.tool_parser import ToolParser


def test_an_option_ends_in_its_default(capsys) -> None:
    parser = ToolParser("qstar tool", "`qstar tool`: does it.\n\n    qstar tool --size 3\n")
    parser.add_argument("--size", type=int, default=2, help="number of things")
    parser.add_argument("--name", required=True, help="what it is called")
    parser.add_argument("--mode", help="how to; by default as ever")
    out = parser.format_help()
    assert out.startswith("usage: qstar tool --name TEXT [options]\n\nDoes it.\n")
    assert "--size INT   Number of things. Default: 2." in out
    assert "What it is called. Required." in out
    assert "How to; by default as ever.\n" in out
    assert out.endswith("examples:\n  qstar tool --size 3\n")


def test_words() -> None:
    assert sentences("q, what is drawn", "Default: 1.") == "q, what is drawn. Default: 1."
    assert sentences("metrics.csv of a run") == "metrics.csv of a run."
    assert sentences("none, rows or tokens") == "none, rows or tokens."
    assert [written(value) for value in (None, True, [1, 10], "a")] == ["null", "true", "1 10", "a"]
    assert described(None) == ("", "")
