"""Several datasets as one, in given shares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from qstar_pl.data.adapters.adapter import Adapter, RowSource
from qstar_pl.data.adapters.auto import Auto
from qstar_pl.data.adapters.rows import PartRows, Rows, Source
from qstar_pl.errors import UserError
from qstar_pl.types import Example


@dataclass(frozen=True)
class Part:
    """One dataset of a mixture."""

    adapter: Adapter
    """Its schema."""
    path: str
    """File, folder or hub id."""
    split: str | None = None
    """On the hub, which split; in a folder, a word in the path of the files to read."""
    weight: float | None = None
    """Relative share of a training epoch's rows; give it to every part that is trained on, or to none."""
    max_rows: int | None = None
    """Read at most this many rows of this part."""
    name: str | None = None
    """What reports and metrics call it, without /; by default its path and adapter."""
    held_out: bool = False
    """Never train on it: all of its prompts are for validation and test."""

    def __post_init__(self) -> None:
        # Metrics are called <metric>/<part>; a name that is made up of a path is only shown, and may be anything.
        if self.name is not None and (
            "/" in self.name or self.name != self.name.strip() or not self.name.isprintable()
        ):
            raise UserError(f"name must be without /, outer spaces and line breaks, got {self.name!r}")
        if self.name == "":
            raise UserError(f"name must not be empty, got one for {self.path}")
        if self.weight is not None and not (self.weight > 0 and math.isfinite(self.weight)):
            raise UserError(f"weight must be a positive number, got {self.weight} for {self.title}")
        if self.max_rows is not None and self.max_rows < 1:
            raise UserError(f"max_rows must be at least 1, got {self.max_rows} for {self.title}")
        if self.held_out and self.weight is not None:
            raise UserError(f"weight must be left out of a part that is held out, got {self.weight} for {self.title}")

    def resolved(self) -> Part:
        """Return the part with the adapter that its rows ask for."""
        return replace(self, adapter=self.adapter.resolve(self.path, self.split))

    def limit(self, max_rows: int | None) -> int | None:
        """Return the smaller of the part's own `max_rows` and another."""
        return min((limit for limit in (self.max_rows, max_rows) if limit is not None), default=None)

    @property
    def title(self) -> str:
        """The part's name, its own or made up."""
        return self.name if self.name is not None else self.adapter.named(self.path)


@dataclass(frozen=True)
class Mixture(RowSource):
    """The rows of all parts. Path and split of the data module mean nothing here; its max_rows holds for each part.

    Without weights, every row of every part is seen once per training epoch. With weights w, a training epoch has as
    many rows as all parts together, of which part p makes up the share w_p / Σw, exactly (to the nearest row) and in
    every epoch. Each part is gone through in its own random order, over and over, across epochs: a part that is too
    small for its share repeats within an epoch, one that is too large takes several epochs (see `MixedOrder`).
    Validation and test hold every row of their prompts once, whatever the weights. A prompt that is in two parts is in
    one split only, and where prompts are drawn, it counts for the first part. An example's part is in
    `metadata["part"]`, and `validate` and `test` report every metric for each part as well.

    A part that is `held_out` is never trained on. Its prompts go to validation and test alone, in the proportion of
    val_fraction to test_fraction; so do those rows of other parts that have one of its prompts. With such a part,
    val_limit and test_limit hold for each part.
    """

    needs_path: ClassVar[bool] = False

    parts: tuple[Part, ...] = ()
    """The datasets."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError("parts must name at least one dataset, got none")
        names = [part.title for part in self.parts]
        if len(set(names)) < len(names):
            raise UserError(f"parts must have different names, got {', '.join(names)}")
        weights = [part.weight for part in self.parts if not part.held_out]
        if not weights:
            raise UserError(f"parts must have one to train on, got {', '.join(names)}, all held out")
        if len({weight is None for weight in weights}) > 1:
            raise UserError(f"weight must be given to every part or to none, got {weights}")

    def read(self, path: str, split: str | None = None, max_rows: int | None = None) -> Rows:
        """Read the parts one after another; see `RowSource.read`."""
        self._check(split)
        examples, rejected, parts = list[Example](), Counter[str](), list[PartRows]()
        first, places = dict[str, str](), dict[str, tuple[str, ...]]()
        for part in self.parts:
            rows = part.adapter.read(part.path, part.split, part.limit(max_rows))
            examples += [
                replace(example, metadata={**example.metadata, "part": part.title}) for example in rows.examples
            ]
            rejected += Counter({f"{part.title}: {reason}": count for reason, count in rows.rejected.items()})
            first |= {f"{part.title}: {reason}": place for reason, place in rows.first.items()}
            places |= {f"{part.title}: {reason}": some for reason, some in rows.places.items()}
            parts.append(PartRows(part.title, rows.read, part.weight, part.held_out))
        return Rows(examples, sum(part.read for part in parts), rejected, tuple(parts), first, places)

    def sources(self, path: str, split: str | None, max_rows: int | None) -> Sequence[Source] | None:
        """See `RowSource.sources`."""
        self._check(split)
        found = []
        for part in self.parts:
            sources = part.adapter.sources(part.path, part.split, part.limit(max_rows))
            if sources is None:
                return None
            found += [
                replace(source, name=part.title, weight=part.weight, held_out=part.held_out) for source in sources
            ]
        return found

    @staticmethod
    def _check(split: str | None) -> None:
        if split is not None:
            raise UserError(f"split must be left out with Mixture, whose parts have their own, got {split}")

    def resolve(self, path: str, split: str | None) -> Mixture:
        """Return the mixture with each part's adapter resolved; see `RowSource.resolve`."""
        return replace(self, parts=tuple(part.resolved() for part in self.parts))

    def adapter_of(self, example: Example) -> Adapter:
        """Return the adapter of the example's part."""
        return next(part.adapter for part in self.parts if part.title == example.metadata["part"])

    def part_names(self) -> tuple[str, ...] | None:
        """See `RowSource.part_names`; what is detected later changes a name that is made up."""
        known = all(part.name is not None or not isinstance(part.adapter, Auto) for part in self.parts)
        return tuple(part.title for part in self.parts) if known else None

    def named(self, path: str) -> str:
        """See `RowSource.named`."""
        return f"mixture of {len(self.parts)} parts"
