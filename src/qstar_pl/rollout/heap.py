"""Keeps the C allocator from handing memory back between two operations."""

from __future__ import annotations

from functools import cache

import torch


@cache
def keep_freed_memory() -> None:
    """Make glibc reuse the memory of freed tensors of up to 32 MB; without glibc nothing happens. Acts once.

    glibc returns a freed block to the operating system once the free space exceeds a threshold that starts at 128 KB
    and grows with the largest block ever freed, up to 32 MB. A decode step makes dozens of [rows, vocab] temporaries of
    a few MB; each would be returned, and asked for again page by page, which took three times as long as the
    arithmetic on them (measured: 1.5 ms against 0.45 ms for the divergence of a [8, 50257] law from a model). Freeing
    one large block lifts the threshold for the rest of the process.
    """
    # Freed at once; below 32 MB, above which glibc leaves the threshold as it is.
    torch.empty(31 * 2**20, dtype=torch.uint8)
