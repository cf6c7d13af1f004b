"""Bugs in a user's own class or file: they keep their own error and their own traceback, without everybody else's."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

_OURS = Path(__file__).resolve().parents[1]
_INSTALLED = "site-packages"
_BETWEEN = ("jsonargparse", "lightning", "lightning_utilities", "torch", "transformers", "yaml")
"""Packages through which a user's class is imported and built."""


def own_failure(links: Iterable[BaseException]) -> BaseException | None:
    """Return the innermost of an exception and its causes that arose in a user's own file, None without one."""
    return next((link for link in reversed(list(links)) if _frames(link) or _is_unreadable(link)), None)


def own_traceback(error: BaseException) -> str:
    """Return the traceback from where it enters the user's files on."""
    lines = traceback.format_list(_frames(error)) + traceback.format_exception_only(error)
    return "Traceback (most recent call last):\n" + "".join(lines)


def described(error: BaseException) -> str:
    """Return in one line where the user's own code failed, and how."""
    if isinstance(error, SyntaxError):
        return f"{_short(error.filename or '')}:{error.lineno} must be valid Python, got {error.msg}"
    last = [frame for frame in _frames(error) if _is_own(frame.filename)][-1]
    return f"{_short(last.filename)}:{last.lineno} raised {type(error).__name__}: {error}"


def _short(name: str) -> str:
    return str(Path(name).relative_to(Path.cwd())) if Path(name).is_relative_to(Path.cwd()) else name


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if _is_own(frame.filename)), len(frames))
    # How Python imports a module that the user's file names says nothing.
    return [frame for frame in frames[first:] if not frame.filename.startswith("<frozen importlib")]


def _is_unreadable(error: BaseException) -> bool:
    return isinstance(error, SyntaxError) and error.filename is not None and _is_own(error.filename)


def _is_own(name: str) -> bool:
    """Return whether a file is the user's, or of a package that they have installed beside this project's needs."""
    file = Path(name)
    if name.startswith("<") or file.is_relative_to(_OURS) or file.resolve().is_relative_to(_OURS):
        return False
    if _INSTALLED in file.parts:
        return file.parts[file.parts.index(_INSTALLED) + 1] not in _BETWEEN
    standard = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return not any(file.is_relative_to(folder) for folder in standard)
