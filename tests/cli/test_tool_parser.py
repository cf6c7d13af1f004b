"""What a tool says of words that it cannot use."""

import pytest

from qstar_pl.cli import main
from qstar_pl.cli.dispatch import TRAINER_COMMANDS, commands
from qstar_pl.cli.tool_parser import ToolParser


def parser() -> ToolParser:
    made = ToolParser(prog="qstar tool")
    made.add_argument("--output", required=True)
    made.add_argument("--number", type=int)
    made.add_argument("--kind", choices=["one", "two"])
    return made


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "--output must be given; qstar tool --help lists all options"),
        (["--outptu=a"], "unknown option --outptu; did you mean --output?"),
        (["--out", "a"], "unknown option --out; did you mean --output?"),
        (["--output", "a", "junk"], "unexpected word junk"),
        (["--output"], "--output must be followed by a value, got nothing"),
        (["--output=a", "--number=x"], "--number must be of type int, got x"),
        (["--output=a", "--kind=three"], "--kind must be one of 'one', 'two', got three"),
    ],
)
def test_one_line_and_exit_code_two(words, line, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(words)
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.err == f"error: {line}\n"
    assert said.out == ""


@pytest.mark.parametrize(
    "words",
    [["analyze", "--output=", "x"], ["export", "--ckpt_path=x", "--output", " "], ["curves", "--folder=", "--key=a"]],
)
def test_a_path_of_nothing_is_no_path(words: list[str], capsys) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("must name a file or a folder, got nothing\n")


def test_right_words_are_parsed() -> None:
    parsed = parser().parse_args(["--output=--odd", "--number", "-3"])
    assert (parsed.output, parsed.number) == ("--odd", -3)


@pytest.mark.parametrize("command", sorted(set(commands()) - set(TRAINER_COMMANDS)))
def test_every_command_names_an_option_it_does_not_know(command, capsys) -> None:
    assert main([command, "--no_such_option=1"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "no_such_option" in line
