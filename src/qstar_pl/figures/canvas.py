"""A figure from its first line to its file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qstar_pl.figures.formats import check_suffix
from qstar_pl.figures.style import WIDTH, house_style
from qstar_pl.files import replacing

UNDATED: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}
"""Format → what is kept out of its metadata, so that the same numbers give the same bytes."""


@contextmanager
def drawn(
    path: Path, height: float = 4.2, *, width: float = WIDTH, argument: str = "output", also: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield an empty matplotlib Figure; when the block has ended without an error, it is written to `path`.

    No display is needed and pyplot is not used, so nothing that a caller draws elsewhere is touched. An older file
    of that name is replaced only by a finished one; folders on the way are made.

    Args:
        path: of the file; its suffix says the format.
        height: inches.
        width: inches.
        argument: the name of the user's option, for error messages.
        also: suffixes of further files beside it, with the same figure.

    Raises:
        UserError: if a suffix is not one of `FORMATS`.
        OSError: if the file cannot be written.

    """
    files = [path, *(path.with_suffix(suffix) for suffix in also)]
    for file in files:
        check_suffix(file, argument)
    with _quiet(), house_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            suffix = file.suffix.lower()
            with replacing(file) as beside:
                figure.savefig(beside, format=suffix[1:], metadata=UNDATED[suffix])
            figure.set_layout_engine("none")  # where everything stands has been found, which takes as long as drawing


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the screen that a font cache is being built, and that a run's name has letters the font lacks."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            yield
    finally:
        logger.setLevel(level)
