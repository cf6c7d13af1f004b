"""Tables as text: a header, and one row per line (quoted cells may hold several)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from qstar_pl.data.reading.row import Located, Unreadable
from qstar_pl.data.reading.text import open_text
from qstar_pl.errors import UserError


def csv_rows(file: Path) -> Located:
    """Yield the rows of a .csv or .tsv file; all cells are text, and an empty one is null.

    The separator is a tab in .tsv files; else a comma, or what the header has instead (semicolon, tab).

    Raises:
        UserError: if the header names a column twice, or is no text.

    """
    csv.field_size_limit(sys.maxsize)  # Python's default refuses cells of more than 128 KiB
    with open_text(file, newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        reader = csv.reader(stream, delimiter=_separator(first, file.name))
        header = next(reader, [])
        if not all(map(_is_text, header)):
            raise UserError(f"{file}:1: must be UTF-8 text, got a header that is not")
        if len(set(header)) < len(header):
            raise UserError(f"{file}:1: must name each column once, got {', '.join(header)}")
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield f"{file}:{reader.line_num}", Unreadable("the row is not CSV")
                continue
            if not cells:  # an empty line
                continue
            where = f"{file}:{reader.line_num}"
            if len(cells) != len(header):
                yield where, Unreadable("the row has another number of cells than the header")
            elif not all(map(_is_text, cells)):
                yield where, Unreadable("the row is not UTF-8 text")
            else:
                yield where, {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _is_text(cell: str) -> bool:
    """Tell whether a cell was UTF-8; other bytes come through `open_text` as lone surrogates."""
    return cell.isascii() or not any("\ud800" <= char <= "\udfff" for char in cell)


def _separator(header: str, name: str) -> str:
    if name.endswith((".tsv", ".tsv.gz")):
        return "\t"
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")
