"""The formats a figure can be written in, named by the suffix of its file."""

from pathlib import Path

from qstar_pl.errors import UserError

FORMATS = (".png", ".pdf", ".svg")
"""Pixels for the screen, then two vector formats for print."""


def check_suffix(path: Path, argument: str = "output") -> None:
    """Raise UserError unless the suffix of a figure's file, in whatever case, names one of `FORMATS`.

    Args:
        path: of the file.
        argument: the name of the user's option, for the message.

    """
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{argument} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {path}")
