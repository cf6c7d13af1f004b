"""Help that was printed once is printed again from the user's cache.

Options follow from the signatures of Lightning's and this project's classes, so that their help needs everything
imported that a run needs. What is printed depends on nothing but what is installed and on the terminal; a page is found
again only while all of that is as it was, and any page can be deleted any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

PACKAGE = Path(__file__).resolve().parents[1]
MOST = 100
"""Pages that are kept, the latest ones."""
_ASKS = re.compile(r"[\w-]+ (-h|--help|--[\w.]+\.help([ =]\w+)?)")
"""Command lines that name nothing of the user's own: no file, no class path."""
_STYLES = ("NO_COLOR", "FORCE_COLOR", "PYTHON_COLORS", "TERM", "LC_ALL", "LC_CTYPE", "LANG", "JSONARGPARSE_", "QSTAR_")
"""How variables begin that may change how help looks."""


def shown(words: Sequence[str], run: Callable[[], int]) -> int:
    """Print the help that a command line asks for, from the cache if it is there; run any other command line.

    Args:
        words: those after `qstar`.
        run: what the command does; its exit code is returned.

    """
    if not _ASKS.fullmatch(" ".join(words)):
        return run()
    try:
        page = folder() / f"{words[0]}-{_fingerprint(words)}.txt"
    except (OSError, RuntimeError):  # no home folder, or something that cannot be listed
        return run()
    with contextlib.suppress(OSError, UnicodeError):
        if text := page.read_text(encoding="utf-8"):
            sys.stdout.write(text)
            return 0
    copy = _Copy(sys.stdout)
    try:
        with contextlib.redirect_stdout(copy):
            code = run()
    except SystemExit as stop:
        code = 0 if stop.code is None else stop.code  # type: ignore[assignment]
    if code != 0:
        raise SystemExit(code)
    with contextlib.suppress(OSError):
        _keep(page, "".join(copy.written))
    return 0


def folder() -> Path:
    """Return where pages lie: $XDG_CACHE_HOME/qstar_pl/help, by default ~/.cache/qstar_pl/help.

    Raises:
        RuntimeError: if there is no home folder.

    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qstar_pl" / "help"


class _Copy:
    """Standard output, which also remembers what is written to it; a terminal stays one."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _fingerprint(words: Sequence[str]) -> str:
    """Return a hash of all that help depends on: the words, the terminal, Python, what is installed, our own files."""
    terminal = (shutil.get_terminal_size().columns, sys.stdout.isatty(), sys.stdout.encoding)
    styles = sorted((name, value) for name, value in os.environ.items() if name.startswith(_STYLES))
    installed = [(place, *sorted(_distributions(place))) for place in sys.path]
    own = sorted(_sources())
    whole = repr((*words, terminal, styles, sys.version, installed, own))
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def _distributions(place: str) -> Iterator[tuple[str, int]]:
    """Yield name with version, and time of installation, of the distributions in a folder of `sys.path`."""
    if not os.path.isdir(place):  # noqa: PTH112 (an entry may be "", a zip file or a hook's name)
        return
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth")):
                yield entry.name, entry.stat().st_mtime_ns


def _sources() -> Iterator[tuple[str, int, int]]:
    """Yield name, time of change and bytes of every file of this package."""
    for place, _, names in os.walk(PACKAGE, followlinks=True):  # the callbacks are a link
        for name in names:
            if name.endswith(".py"):
                status = os.stat(file := os.path.join(place, name))  # noqa: PTH116, PTH118 (hundreds of files)
                yield file, status.st_mtime_ns, status.st_size


def _keep(page: Path, text: str) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole, under a name that no other process writes to.
    beside = page.with_suffix(f".{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(page)
    pages = sorted(page.parent.glob("*.txt"), key=lambda one: one.stat().st_mtime_ns, reverse=True)
    for old in pages[MOST:]:
        old.unlink(missing_ok=True)
