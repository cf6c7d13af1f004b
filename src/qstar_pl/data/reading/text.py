"""Text files, compressed or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any


def open_text(file: Path, newline: str | None = None) -> Any:
    """Open a text file, unpacking .gz.

    Bytes that are not UTF-8 become lone surrogates, which valid text has none of, so that one bad line can be told from
    the others.
    """
    options = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": newline}
    return gzip.open(file, "rt", **options) if file.suffix == ".gz" else file.open(**options)  # type: ignore[call-overload]
