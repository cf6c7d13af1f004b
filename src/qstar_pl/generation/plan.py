"""Which prompts are decoded together: fixed before the first token, in every process and after every restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.data.records import json_line, original_fields
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.hashing import hasher


@dataclass(frozen=True)
class Plan:
    """Batches of prompts, longest first, so that memory that does not suffice shows at once.

    A row's text depends on its own seed; but in another batch, with other pads, the same sums are rounded otherwise,
    and once in many thousand tokens that changes a token. So the batch, not the row, is what is dealt to processes,
    written as a whole, and repeated if it was lost.
    """

    batches: tuple[tuple[int, ...], ...]
    """Prompts of each batch, by their place in the data."""
    samples: int
    """Answers to each prompt."""

    @property
    def rows(self) -> int:
        """Answers of the whole plan."""
        return self.samples * sum(map(len, self.batches))

    def rows_of(self, batch: int) -> list[int]:
        """Return the places in the output of a batch's answers, in the order in which they are decoded."""
        return [prompt * self.samples + sample for prompt in self.batches[batch] for sample in range(self.samples)]


def plan_batches(lengths: Sequence[int], batch_size: int, samples: int) -> Plan:
    """Put prompts of similar length together.

    Args:
        lengths: tokens of each prompt.
        batch_size: prompts per batch.
        samples: answers to each prompt.

    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    starts = range(0, len(order), batch_size)
    return Plan(tuple(tuple(order[start : start + batch_size]) for start in starts), samples)


def prompts_digest(prompts: Sequence[Encoded]) -> str:
    """Return a fingerprint of the prompts as the policy reads them, and of their rows' fields, in their order."""
    digest = hasher()
    for prompt in prompts:
        digest.update(f"{prompt.example.key}:{len(prompt.prompt)};".encode())
        digest.update(prompt.prompt.astype("<i4").tobytes())
        digest.update(json_line(original_fields(prompt.example)))
    return digest.hexdigest()
