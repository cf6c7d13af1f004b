"""Symbols in words, where they cannot be shown; counts and p-values."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from qstar_pl.console import SpellingConsole
from qstar_pl.spelling import counted, make_printable, probability, spelled, without_controls

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "ascii_only", "latin"),
    [
        ("D(π_θ‖π_init)", "D(pi_theta||pi_init)", "D(pi_theta||pi_init)"),
        ("8 × 4 ± 1·2", "8 x 4 +- 1*2", "8 × 4 ± 1·2"),
        ("−log Z(α*) → 0…", "-log Z(alpha*) -> 0...", "-log Z(alpha*) -> 0..."),
        ("│ é ┃ ━ ┼ ḡ ﬁ", "| e | - + g fi", "| é | - + g fi"),
        ("中\udc80", "\\u4e2d\\udc80", "\\u4e2d\\udc80"),
    ],
    ids=["models", "signs", "arrows", "lines", "unknown"],
)
def test_spelled_in_words_where_the_encoding_lacks_them(text: str, ascii_only: str, latin: str) -> None:
    assert spelled(text, "ascii") == ascii_only
    assert spelled(text, "latin-1") == latin
    assert spelled(text, "utf-8") == text.replace("\udc80", "\\udc80")


@pytest.mark.parametrize(
    ("variables", "encoding", "errors", "printed"),
    [
        ({"LC_ALL": "C"}, "utf-8", "surrogateescape", b"alpha"),
        ({"LANG": "POSIX"}, "utf-8", "surrogateescape", b"alpha"),
        ({"LC_ALL": "C.UTF-8"}, "utf-8", "strict", "α".encode()),
        ({}, "utf-8", "surrogateescape", "α".encode()),
        ({}, "latin-1", "strict", b"alpha"),
        ({"PYTHONIOENCODING": "ascii:ignore", "LC_ALL": "C"}, "ascii", "ignore", b""),
    ],
    ids=["C", "POSIX", "C.UTF-8", "unset", "latin-1", "asked"],
)
def test_streams_spell_as_the_locale_asks(
    variables: dict[str, str], encoding: str, errors: str, printed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG", "PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors=errors))
    make_printable()
    print("α", end="", flush=True)
    assert written.getvalue() == printed


def test_columns_stay_straight() -> None:
    from rich.table import Table

    written = io.BytesIO()
    console = SpellingConsole(file=io.TextIOWrapper(written, encoding="ascii"), width=40)
    table = Table()
    table.add_column("α")
    table.add_row("π_θ")
    table.add_row(console.verbatim("[b]ESS_θ/ESS_t …"))
    table.add_row(console.verbatim("\x1b[2J"))
    console.print(table)
    console.file.flush()
    lines = written.getvalue().decode("ascii").splitlines()
    assert "| [b]ESS_theta/ESS_t ... |" in lines
    assert r"| \x1b[2J                |" in lines
    assert len({len(line) for line in lines}) == 1


def test_every_text_file_names_its_encoding() -> None:
    words = ["check", "--quiet", "--preview", "--select", "PLW1514", "--no-cache", "--output-format", "concise"]
    ruff = subprocess.run([sys.executable, "-m", "ruff", *words, "src", "callbacks"], cwd=ROOT, capture_output=True)
    assert ruff.returncode == 0, ruff.stdout.decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("\0\a\b\r\x7f", r"\x00\x07\x08\x0d\x7f"),
        ("\x85\x9b2J", r"\x85\x9b2J"),
        ("one\n\ttwo é 中 🙂 \u00a0", "one\n\ttwo é 中 🙂 \u00a0"),
    ],
    ids=["escape", "ascii", "latin", "text"],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert without_controls(text) == shown


def test_counts_are_of_one_or_of_several() -> None:
    assert [counted(number, "loss", "losses") for number in (0, 1, 2)] == ["0 losses", "1 loss", "2 losses"]
    assert [counted(number, "prompt") for number in (0, 1, 2)] == ["0 prompts", "1 prompt", "2 prompts"]


def test_no_p_value_shows_as_zero() -> None:
    assert [probability(p) for p in (1.0, 0.0005, 0.0001, 0.00003)] == ["1.0000", "0.0005", "0.0001", "< 0.0001"]
