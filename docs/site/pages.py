"""README.md and docs/ as the pages of a site: where each stands, and its text as the site's Markdown wants it.

The files are written for GitHub, and stay so. What differs there is changed on the way: links to README.md, to folders
and to files of the source; lists without a blank line before them; what is indented under them; `<` in prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
RESULTS = PurePosixPath("results/index.md")
NAV: Mapping[str, tuple[str, ...]] = {
    "Start": ("index", "walkthrough", "coming_from_trl", "troubleshooting"),
    "Concepts": ("theory", "choices", "diagnostics", "tiny_world"),
    "Guides": ("data", "rewards", "models", "generation", "decoding", "evaluation", "integrations", "cluster"),
    "Results": ("results/index", "experiments", "measured"),
    "Cookbook": ("cookbook/index",),
    "Project": ("architecture", "security", "sandbox"),
}
"""Section → its first pages, in the order in which a newcomer reads; the others of their folders follow them."""
REST = "Project"
"""Where a page of docs/ goes that no section names."""
NOT_PAGES = (".py", ".toml", ".css")
_FENCE = re.compile(r"^ *(```|~~~)")
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_ITEM = re.compile(r"^([-*]|\d+\.) ")
_SPAN = re.compile(r"(`+[^`]*`+|<!--.*?-->)")


@dataclass(frozen=True)
class Page:
    """A Markdown file of the repository."""

    source: Path
    """From the repository's folder on."""
    place: PurePosixPath
    """In the site's folder of pages."""


def pages() -> list[Page]:
    """Return all pages that are written by hand; README.md is the first."""
    found = [Page(Path("README.md"), PurePosixPath("index.md"))]
    for file in sorted(DOCS.rglob("*.md")):
        inner = file.relative_to(DOCS)
        place = inner.with_name("index.md") if inner.name == "README.md" else inner
        found.append(Page(file.relative_to(REPOSITORY), PurePosixPath(place.as_posix())))
    return found


def assets() -> list[Path]:
    """Return the other files of docs/, figures and reports, from the repository's folder on."""
    own = Path(__file__).parent
    files = (file for file in sorted(DOCS.rglob("*")) if file.is_file() and own not in file.parents)
    return [file.relative_to(REPOSITORY) for file in files if file.suffix not in (".md", *NOT_PAGES)]


def place_of(source: Path) -> PurePosixPath:
    """Return where a file of the repository stands among the pages; what is outside of docs/ is shown as its text.

    Args:
        source: file or folder, from the repository's folder on.

    """
    if source.as_posix() == "README.md":
        return PurePosixPath("index.md")
    if (REPOSITORY / source).is_dir():
        return place_of(source / "README.md")
    if source.parts[0] != "docs":
        return PurePosixPath("source", f"{source.as_posix()}.md")
    inner = PurePosixPath(*source.parts[1:])
    return inner.with_name("index.md") if inner.name == "README.md" else inner


def linked(page: Page, text: str) -> Iterator[Path]:
    """Yield the files of the repository that a page links to, from the repository's folder on."""
    for line, is_code in _lines(text):
        for match in () if is_code else _LINK.finditer(line):
            if (found := _source(page, match[2])) is not None:
                yield found


def as_page(page: Page, text: str) -> str:
    """Return a page's text as the site's Markdown."""

    def moved(match: re.Match[str]) -> str:
        source = _source(page, match[2])
        if source is None:
            return match[0]
        to = relpath(place_of(source).as_posix(), page.place.parent.as_posix())
        return f"{match[1]}{to}{match[2][len(match[2].partition('#')[0]) :]}{match[3]}"

    written: list[str] = []
    listed = False
    for line, is_code in _lines(text):
        if not is_code:
            item = bool(_ITEM.match(line))
            before = written[-1] if written else ""
            if item and not listed and before.strip():
                written.append("")
            listed = item or (listed and (not line.strip() or line.startswith(" ")))
            line = _LINK.sub(moved, _escaped(line))
        written.append(re.sub(r"^ {2,3}(?=\S)", "    ", line) if listed else line)
    return "\n".join(written) + "\n"


def as_source(source: Path) -> str:
    """Return the page that shows a file of the repository."""
    text = (REPOSITORY / source).read_text(encoding="utf-8")
    return f"# {source.as_posix()}\n\n````{source.suffix.removeprefix('.')}\n{text}\n````\n"


def results_page() -> str:
    """Return the page of results where nobody has written one: what lies in docs/results, and how it is made."""
    folder = DOCS / "results"
    files = [
        PurePosixPath(file.relative_to(folder).as_posix())
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".html", ".md", ".json")
    ]
    lines = ["# Results", ""]
    if files:
        lines += ["Reports of experiments that were run for real:", "", *(f"- [{one}]({one})" for one in files)]
    else:
        lines += ["No results are kept in this copy of the repository."]
    lines += [
        "",
        "An experiment ends in its report; `qstar experiment` without a name lists what there is:",
        "",
        "```bash",
        "qstar experiment mvp",
        "qstar experiment main",
        "```",
        "",
        "What an experiment is, and how far two of its runs are the same: [experiments](../experiments.md). Figures of",
        "the system itself, each with its command: [measured](../measured.md).",
    ]
    return "\n".join(lines) + "\n"


def navigation(places: list[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Return section → pages, each once."""
    left = [place for place in places if place.parts[0] not in ("api", "source")]
    sections: dict[str, list[PurePosixPath]] = {}
    for section, names in NAV.items():
        sections[section] = [PurePosixPath(f"{name}.md") for name in names if PurePosixPath(f"{name}.md") in left]
    named = {place for chosen in sections.values() for place in chosen}
    for place in (one for one in left if one not in named):
        beside = [
            key for key, chosen in sections.items() if len(place.parts) > 1 and place.with_name("index.md") in chosen
        ]
        sections[beside[0] if beside else REST].append(place)
    return sections


def _source(page: Page, link: str) -> Path | None:
    """Return the file of the repository that a link leads to; None: it leads outside, or stays on its page."""
    path = link.partition("#")[0]
    if not path or re.match(r"[a-z]+:", path):
        return None
    return Path(normpath((page.source.parent / path).as_posix()))


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (line, whether it is code)."""
    fence = ""
    for line in text.splitlines():
        match = _FENCE.match(line)
        if match and fence in ("", match[1]):
            fence = "" if fence else match[1]
            yield line, True
        else:
            yield line, bool(fence)


def _escaped(line: str) -> str:
    """Return a line of prose in which `<` is no beginning of HTML."""
    parts = _SPAN.split(line)
    return "".join(part if part.startswith(("`", "<!--")) else part.replace("<", "&lt;") for part in parts)
