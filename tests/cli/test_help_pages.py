"""Help is printed from the cache while nothing has changed that it depends on, and made anew after that."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qstar_pl.cli import help_pages
from qstar_pl.cli.help_pages import folder, shown


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    return folder()


class Page:
    """A command that prints a page and counts how often it was asked."""

    def __init__(self, text: str = "usage: qstar fit\n", code: int = 0) -> None:
        self.text, self.code, self.asked = text, code, 0

    def __call__(self) -> int:
        self.asked += 1
        sys.stdout.write(self.text)
        raise SystemExit(self.code)  # as argparse does


@pytest.mark.parametrize("words", [["fit", "--help"], ["generate", "-h"], ["fit", "--model.help=QStar"]])
def test_a_page_is_made_once(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    page = Page()
    assert [shown(words, page) for _ in range(3)] == [0, 0, 0]
    assert page.asked == 1
    assert capsys.readouterr().out == 3 * page.text


def test_commands_pages_are_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    fit, test = Page("fit\n"), Page("test\n")
    for _ in range(2):
        shown(["fit", "--help"], fit)
        shown(["test", "--help"], test)
    assert capsys.readouterr().out == "fit\ntest\n" * 2


@pytest.mark.parametrize(
    "words",
    [["fit"], ["fit", "--model.help=my.Method"], ["fit", "--config", "x", "--help"], ["fit", "--model", "A", "--help"]],
)
def test_what_may_depend_on_the_users_files_is_never_kept(words: list[str], cache: Path) -> None:
    page = Page()
    for _ in range(2):
        with pytest.raises(SystemExit):
            shown(words, page)
    assert page.asked == 2
    assert not cache.exists()


def test_a_mistake_is_not_kept(cache: Path) -> None:
    page = Page(code=2)
    with pytest.raises(SystemExit, match="2"):
        shown(["fit", "--model.help=Nothing"], page)
    assert not cache.exists()


def upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "lightning-9.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")


def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "fit.py").write_text("")
    monkeypatch.setattr(help_pages, "PACKAGE", tmp_path / "package")


def widened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def restyled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")


@pytest.mark.parametrize("change", [upgraded, edited, widened, restyled])
def test_a_change_of_what_help_depends_on_makes_it_anew(
    change: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page()
    shown(["fit", "--help"], page)
    change(tmp_path, monkeypatch)
    shown(["fit", "--help"], page)
    assert page.asked == 2


def test_a_cache_that_cannot_be_written_costs_time_alone(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where a folder should be")
    page = Page()
    assert [shown(["fit", "--help"], page) for _ in range(2)] == [0, 0]
    assert page.asked == 2
    assert capsys.readouterr().out == 2 * page.text


def test_the_oldest_pages_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(help_pages, "MOST", 2)
    for command in ("fit", "test", "predict"):
        shown([command, "--help"], Page())
    assert len(list(cache.iterdir())) == 2
