"""Better and worse texts that begin alike: the common beginning is the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example


@dataclass(frozen=True)
class ImplicitPrompt(Adapter):
    """Rows with two whole texts. Their longest common beginning that ends with a word is the prompt.

    What follows it are the answers: "The sky is blue." and "The sky is black." give the prompt "The sky is". Texts
    that do not begin alike are counted and left out.
    """

    chosen_field: str = "chosen"
    """Column of the better text."""
    rejected_field: str = "rejected"
    """Column of the worse text."""

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        chosen, rejected = texts(row, (self.chosen_field, self.rejected_field), where, type(self).__name__)
        if chosen == rejected:
            raise RowRejected("chosen equals rejected")
        length = common_words(chosen, rejected)
        if not chosen[:length].strip():
            raise RowRejected("chosen and rejected do not begin alike, so there is no prompt")
        return single_turn(
            chosen[:length].strip(), chosen[length:].strip(), rejected[length:].strip(), {"source": where}
        )

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {
            "prompt": f"what {self.chosen_field} and {self.rejected_field} begin with",
            "chosen": f"the rest of {self.chosen_field}",
            "rejected": f"the rest of {self.rejected_field}",
        }

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return (self.chosen_field, self.rejected_field)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim texts in `chosen` and `rejected` of which most begin alike."""
        if not table.holds(Kind.TEXT, of=("chosen", "rejected")):
            return None
        pairs = [(row.get("chosen"), row.get("rejected")) for row in table.rows]
        alike = [bool(a[: common_words(a, b)].strip()) for a, b in pairs if isinstance(a, str) and isinstance(b, str)]
        return Claim(Confidence.IMPLICIT_PAIRS, cls()) if sum(alike) * 2 > len(alike) else None


def common_words(first: str, second: str) -> int:
    """Return how many characters both texts begin with, up to the last white space where they part within a word."""
    pairs = zip(first, second, strict=False)
    length = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))
    # Back to a place between words; white space may be on either side of it.
    while length and not (first[length : length + 1].isspace() or first[length - 1].isspace()):
        length -= 1
    return length
