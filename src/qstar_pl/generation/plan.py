"""Which prompts are decoded together: fixed before the first token, and equal in all processes and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.data.records import json_line, original_fields
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.hashing import hasher


@dataclass(frozen=True)
class Plan:
    """Batches of prompts, longest first, so that a lack of memory shows at once.

    A row's text depends on its own seed; but in another batch, with other padding, the same sums are rounded
    differently, which changes one token in many thousands. So the batch, not the row, is the unit that is dealt to
    processes, written as a whole, and repeated if it was lost.
    """

    batches: tuple[tuple[int, ...], ...]
    """Prompts of each batch, by their index in the data."""
    samples: int
    """Answers to each prompt."""

    @property
    def rows(self) -> int:
        """Number of answers of the whole plan."""
        return self.samples * sum(map(len, self.batches))

    def rows_of(self, batch: int) -> list[int]:
        """Return the rows of the output that a batch's answers become, in the order in which they are decoded."""
        return [prompt * self.samples + sample for prompt in self.batches[batch] for sample in range(self.samples)]


def plan_batches(lengths: Sequence[int], batch_size: int, samples: int) -> Plan:
    """Put prompts of similar length together.

    Args:
        lengths: tokens of each prompt.
        batch_size: prompts per batch.
        samples: answers to each prompt.

    """
    # Ties are broken by index, so that the plan is the same everywhere.
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    starts = range(0, len(order), batch_size)
    return Plan(tuple(tuple(order[start : start + batch_size]) for start in starts), samples)


def prompts_digest(prompts: Sequence[Encoded]) -> str:
    """Return a fingerprint of the prompts as the policy reads them, and of their rows' fields, in their order."""
    digest = hasher()
    for prompt in prompts:
        digest.update(f"{prompt.example.key}:{len(prompt.prompt)};".encode())
        # Little-endian, so that the digest is the same on every machine.
        digest.update(prompt.prompt.astype("<i4").tobytes())
        digest.update(json_line(original_fields(prompt.example)))
    return digest.hexdigest()
