"""Options and their values, before anybody knows which options there are."""

import pytest

from qstar_pl.cli.words import Option, asks_for_help, command_among, options, underscored, with_values, without

LINE = ("-c", "a.yaml", "fit", "--name=x=y", "--flag", "--steps", "-1", "--rate", "-.5", "--text=", "word", "--last")


def test_options_of_a_line() -> None:
    assert [(one.name, one.value) for one in options(LINE)] == [
        ("-c", "a.yaml"),
        ("", None),
        ("--name", "x=y"),
        ("--flag", None),
        ("--steps", "-1"),
        ("--rate", "-.5"),
        ("--text", ""),
        ("", None),
        ("--last", None),
    ]
    assert tuple(word for one in options(LINE) for word in one.words) == LINE


@pytest.mark.parametrize("line", [(), LINE, ("fit",), ("--a=--b",), ("a\nb", "--c={x:\n 1}")])
def test_nothing_is_lost(line: tuple[str, ...]) -> None:
    assert with_values(line, lambda name, value: value) == list(line)
    assert without(line) == list(line)


def test_values_are_changed_as_they_were_written() -> None:
    assert with_values(LINE[:4], lambda name, value: f"{name}!{value}") == [
        "-c",
        "-c!a.yaml",
        "fit",
        "--name=--name!x=y",
    ]
    assert Option("--a", None, ("--a",)).words == ("--a",)


def test_options_are_taken_out_with_their_values() -> None:
    assert without(["fit", "--a", "1", "--b=2", "--a=3", "--c"], "--a", "--c") == ["fit", "--b=2"]
    assert without(["--a", "--b", "1"], "--a") == ["--b", "1"]


def test_a_hyphen_in_the_name_of_an_option_is_an_underscore() -> None:
    words = ["a-b", "--max-steps=a-b", "--model.sampler.top-k", "-3", "-x-y", "--", "--not-an-option"]
    wanted = ["a-b", "--max_steps=a-b", "--model.sampler.top_k", "-3", "-x-y", "--", "--not-an-option"]
    assert underscored(words) == wanted


def test_what_a_line_asks_for() -> None:
    assert command_among(["--name", "test", "fit", "predict"], ("fit", "test", "predict")) == "fit"
    assert command_among(["--name=fit"], ("fit",)) is None
    for words in (["-h"], ["fit", "--help"], ["--model.sampler.help"], ["--model.help=DPO"]):
        assert asks_for_help(words)
    assert not asks_for_help(["fit", "--name", "a.help", "--helpers=1"])
