"""What README.md and docs/ hold that a reader would type: commands, Python, files to write."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
COOKBOOK = sorted(path for path in (REPOSITORY / "docs" / "cookbook").glob("*.md") if path.name != "README.md")
HANDLED = ("qstar", "just", "python", "srun", "torchrun")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_SHELLS = ("bash", "sh", "shell", "console")
_INDENTED = re.compile(r"^ {4}(?=(?:qstar|just|python|\./dev) )(.*)$", re.M)
_SPAN = re.compile(r"(?<!`)`((?:qstar|just|python|\./dev)(?: [^`\n]+)?)`(?!`)")
_OPTION = re.compile(r"^qstar [a-z-]+ --(?!help|print_config)\w+$")
"""A span that names an option of a command; nothing that could be run."""
_LAUNCHER = re.compile(r"^(?:srun|torchrun\s.*?-m)\s+(?:qstar_pl|qstar)\s+")
_FILE = re.compile(r"\A# (\w+\.(?:py|yaml))\n")
"""The first line of a block that is a whole file."""


@dataclass(frozen=True)
class Command:
    where: str
    words: tuple[str, ...]
    """As a shell would split them; `qstar`, `just` or `python` is the first."""


def name_of(document: Path) -> str:
    """Return how tests call a document."""
    return document.relative_to(REPOSITORY).as_posix().removeprefix("docs/")


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return _BLOCK.sub("", document.read_text())


def fenced(document: Path, *languages: str) -> list[str]:
    return [match[2] for match in _BLOCK.finditer(document.read_text()) if match[1] in languages]


def files_of(document: Path) -> dict[str, str]:
    """Return the files that a document gives in full, by their names."""
    blocks = fenced(document, "python", "yaml")
    return {match[1]: block for block in blocks if (match := _FILE.match(block))}


def recipe(page: str, folder: Path) -> None:
    """Write the file of a page of the cookbook into a folder, as its reader would."""
    files = files_of(REPOSITORY / "docs" / "cookbook" / f"{page}.md")
    assert files, page
    for name, source in files.items():
        (folder / name).write_text(source)


def snippets(document: Path) -> list[str]:
    """Return the blocks of Python that are no whole files."""
    return [block for block in fenced(document, "python") if not _FILE.match(block)]


def settings(document: Path) -> list[str]:
    """Return the blocks of YAML that are no whole files."""
    return [block for block in fenced(document, "yaml") if not _FILE.match(block)]


def lines_of(block: str) -> Iterator[str]:
    """The commands of a block: continued lines joined, variables that the block sets put in."""
    variables: dict[str, str] = {}
    for line in block.replace("\\\n", " ").splitlines():
        if match := re.match(r'^(\w+)="([^"]*)"$', line):
            variables[match[1]] = match[2]
            continue
        for name, value in variables.items():
            line = re.sub(rf"\${name}\b", value, line)
        yield line


def split(line: str) -> tuple[str, ...]:
    words = shlex.split(_LAUNCHER.sub("qstar ", line.strip()), comments=True)
    if words[:1] == ["./dev"]:  # which hands its words to just
        return ("just", *words[1:])
    return ("qstar", *words[3:]) if words[:3] == ["python", "-m", "qstar_pl"] else tuple(words)


def blocks(document: Path) -> Iterator[list[tuple[str, ...]]]:
    for block in fenced(document, *_SHELLS):
        yield [words for line in lines_of(block) if (words := split(line))]


def shell_lines(document: Path) -> list[str]:
    """Return every line of the shell's blocks, as `lines_of` gives them."""
    return [line for block in fenced(document, *_SHELLS) for line in lines_of(block) if line.strip()]


def commands_of(document: Path) -> Iterator[tuple[str, ...]]:
    for block in blocks(document):
        yield from (words for words in block if words[0] in HANDLED)
    yield from (split(match[1]) for match in _INDENTED.finditer(document.read_text()))
    spans = (match[1] for match in _SPAN.finditer(prose(document)))
    yield from (split(span) for span in spans if not _OPTION.match(span))


def documented() -> list[Command]:
    """Every command once, with the first document that has it."""
    found: dict[tuple[str, ...], str] = {}
    for document in DOCUMENTS:
        for words in commands_of(document):
            found.setdefault(words, name_of(document))
    return [Command(where, words) for words, where in found.items()]
