"""Rows of a dataset of the Hugging Face hub."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from qstar_pl.data.reading.arrow_rows import plain
from qstar_pl.data.reading.row import Located

HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*(/[\w-][\w.-]*)?)(:(?P<config>[\w.-]+))?")
"""`name` or `owner/name`, either with `:configuration` behind it."""


def near(name: str) -> str:
    """Return " (did you mean …?)" with a file or folder of nearly that name, "" if there is none."""
    path = Path(name).expanduser()
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.8)
    return f" (did you mean {path.with_name(close[0])}?)" if close else ""


def hub_rows(path: str, split: str | None) -> Located:
    """Yield the rows of one split ("train" if None).

    Raises:
        UserError: if the hub has no such dataset or cannot be reached.

    """
    import datasets  # seconds of import, which local files need not pay

    from qstar_pl.models.hub import refused, settle

    split = split or "train"
    hub = HUB_ID.fullmatch(path)
    assert hub is not None, "what does not look like an id is taken for a file"
    settle()
    configuration = [hub["config"]] if hub["config"] else []
    try:
        rows = datasets.load_dataset(hub["id"], *configuration, split=split)  # nosec B615 - rows, which are data
    except Exception as error:  # the hub's client raises a dozen unrelated types; each means that nothing was loaded
        wanted = f"path must be a file, a folder or a hub id; there is no {path} here{near(hub['id'])}; on the hub: "
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise refused(wanted, said, error) from error
    for number, row in enumerate(rows):
        yield f"{path} [{split}], row {number}", {name: plain(value) for name, value in row.items()}
