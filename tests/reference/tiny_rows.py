"""Rows of the tiny world as the data module makes them."""

from qstar_pl.data.adapters.rows import convert
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.types import Example


def tiny_examples(size: int, **options) -> list[Example]:
    """Return the first rows of the tiny world, with a preferred answer and one that lost."""
    adapter = TinyWorld(size=size, **options)
    return [convert(adapter, where, row) for where, row in adapter.rows("tiny", None)]
