"""Where cached rows and token ids lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

WORTH_A_FILE = 5000
"""Fewer rows than this are cached only in a folder that was asked for: they are tokenized in ten seconds or less."""


def default_folder() -> Path:
    """Return $XDG_CACHE_HOME/qstar_pl/tokens, by default ~/.cache/qstar_pl/tokens.

    Raises:
        RuntimeError: if there is no home folder.

    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qstar_pl" / "tokens"


@dataclass(frozen=True)
class CacheFolder:
    """A folder of files, each under a name that follows from all that it depends on; any can be deleted any time."""

    folder: Path
    least: int
    """Fewer rows are not worth a file."""

    @classmethod
    def of(cls, cache_dir: str | None) -> CacheFolder:
        """Return a folder that was asked for, or the user's.

        Raises:
            RuntimeError: if there is no home folder.

        """
        if cache_dir is None:
            return cls(default_folder(), WORTH_A_FILE)
        return cls(Path(cache_dir).expanduser(), 0)

    def is_worth(self, rows: int) -> bool:
        """Return whether this many rows are worth a file."""
        return rows >= self.least
