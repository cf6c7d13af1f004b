"""The documentation as a site: how pages are changed for it, what its check finds, and the whole of it built."""

import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY / "docs" / "site"))

import build  # noqa: E402
import pages  # noqa: E402
from api import overview, packages  # noqa: E402
from links import problems  # noqa: E402

DATA = pages.Page(Path("docs/data.md"), PurePosixPath("data.md"))
RECIPE = pages.Page(Path("docs/cookbook/law.md"), PurePosixPath("cookbook/law.md"))


@pytest.mark.parametrize(
    ("page", "written", "shown"),
    [
        (DATA, "[a](../README.md#start)", "[a](index.md#start)"),
        (DATA, "[a](cookbook/README.md)", "[a](cookbook/index.md)"),
        (DATA, "[a](theory.md#one-alpha) [b](#here)", "[a](theory.md#one-alpha) [b](#here)"),
        (DATA, "[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        (RECIPE, "[a](../security.md)", "[a](../security.md)"),
        (RECIPE, "[a](../../src/qstar_pl/types.py)", "[a](../source/src/qstar_pl/types.py.md)"),
        (DATA, "p(y_<t) and `a < b` and <!-- note -->", "p(y_&lt;t) and `a < b` and <!-- note -->"),
        (DATA, "text\n- one\n- two", "text\n\n- one\n- two"),
        (DATA, "1. one:\n\n   | a |", "1. one:\n\n    | a |"),
        (DATA, "```bash\ncat <in [a](../README.md)\n- x\n```", "```bash\ncat <in [a](../README.md)\n- x\n```"),
    ],
)
def test_a_page_says_there_what_it_says_on_github(page: pages.Page, written: str, shown: str) -> None:
    assert pages.as_page(page, written) == shown + "\n"


def test_every_page_has_its_place_in_the_navigation_once(tmp_path: Path) -> None:
    build.stage(tmp_path)
    places = [PurePosixPath(file.relative_to(tmp_path / "pages").as_posix()) for file in tmp_path.rglob("*.md")]
    listed = [place for chosen in pages.navigation(places).values() for place in chosen]
    assert sorted(listed) == sorted(place for place in places if place.parts[0] not in ("api", "source"))
    assert len(listed) == len(set(listed))
    settings = (tmp_path / "zensical.toml").read_text()
    assert [place for place in places if place.parts[0] != "source" and f'"{place}"' not in settings] == []


def test_what_the_navigation_names_is_there() -> None:
    there = {page.place for page in pages.pages()} | {pages.RESULTS}
    named = {PurePosixPath(f"{name}.md") for names in pages.NAV.values() for name in names}
    assert named - there == set()


def test_the_reference_holds_what_packages_give() -> None:
    found = {package.name: package for package in packages()}
    assert {"solve_kl_symmetry", "geometric_mixture", "KLSymmetricAlpha"} <= set(found["qstar"].members)
    assert {"QStar", "PPO", "DPO"} <= set(found["methods"].members)
    assert {"RLHFDataModule", "HHRLHF"} <= set(found["data"].members)
    assert "TYPE_CHECKING" not in found["data"].members
    assert [name for name, package in found.items() if not package.members or not package.docstring] == []


def test_lists_of_names_in_a_docstring_lead_to_them() -> None:
    shown = overview("Maths.\n\nOne\n    ess      1/Σ p²/q\n    other    p|q\n", "qstar_pl.qstar", ("ess",))
    assert "| [`ess`](#qstar_pl.qstar.ess) | 1/Σ p²/q |" in shown
    assert "| `other` | p\\|q |" in shown


def test_the_page_of_results_says_how_they_are_made() -> None:
    text = pages.results_page()
    assert "qstar experiment main" in text
    assert text.startswith("# Results\n")


def test_what_is_wrong_with_a_site_is_found(tmp_path: Path) -> None:
    (tmp_path / "to.html").write_text('<h1 id="here">x</h1><a href="index.html#there">y</a>')
    (tmp_path / "site.css").write_text("@import '//fonts.example.org/a.css'; p {background: url(a.png)}")
    (tmp_path / "index.html").write_text(
        '<a href="to.html#here">fine</a><a href="https://example.org">fine</a><p id="there">'
        '<a href="gone.html">dead</a><a href="to.html#gone">dead</a><img src="gone.png">'
        '<script src="https://cdn.example.org/a.js"></script><link rel="canonical" href="https://example.org">'
    )
    assert sorted(problems(tmp_path)) == [
        "index.html: gone.html leads nowhere",
        "index.html: gone.png leads nowhere",
        "index.html: loads https://cdn.example.org/a.js from outside",
        "index.html: to.html#gone: there is no such anchor",
        "site.css: loads //fonts.example.org/a.css from outside",
    ]


@pytest.mark.slow  # 10 s of computing, alone
@pytest.mark.timeout(600)
def test_the_site_is_built_and_a_dead_link_fails(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    pytest.importorskip("mkdocstrings_handlers.python")
    copy = tmp_path / "copy"
    for folder in ("docs", "src", "callbacks", "configs"):
        shutil.copytree(REPOSITORY / folder, copy / folder, symlinks=True)
    shutil.copy(REPOSITORY / "README.md", copy)
    words = [sys.executable, "docs/site/build.py"]
    built = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    reference = (copy / "build" / "site" / "api" / "qstar.html").read_text()
    assert 'id="qstar_pl.qstar.solve_kl_symmetry"' in reference
    assert "Parameters:" in reference
    (copy / "docs" / "data.md").write_text("# Data\n\n[dead](nowhere.md) and [no anchor](rewards.md#nowhere)\n")
    broken = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "nowhere" in broken.stderr
