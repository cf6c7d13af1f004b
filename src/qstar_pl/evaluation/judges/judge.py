"""Who compares two answers, as a strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qstar_pl.describing import described
from qstar_pl.evaluation.judges.comparison import Comparison
from qstar_pl.evaluation.judges.verdict import Verdict
from qstar_pl.hashing import digest
from qstar_pl.types import Example

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Progress = Callable[[int], None]
"""Told how many more comparisons have their verdict; what it is told adds up to the number of comparisons."""


class Judge(ABC):
    """Compares answers to prompts, two at a time.

    Derive from it as a frozen dataclass whose fields are the options. Whoever wants verdicts calls `ask`, which settles
    what needs no judge.
    """

    expensive: bool = True
    """Whether verdicts cost money or much time: then no validation within `fit` asks for them, unless it is told to. A
    judge that makes it a field hides it from `description` by `field(default=…, repr=False)`."""

    keeps_verdicts: bool = False
    """Whether each verdict is on the disk as soon as it is there: a kill then loses none, however many comparisons it
    was given, and it is given many."""

    def check(self) -> None:  # noqa: B027 (most need none)
        """Check what can be known before anything is loaded or generated, such as files, addresses and keys.

        Raises:
            UserError: if the judge could not judge.

        """

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:  # noqa: B027 (most need none)
        """Load what is needed; called once, before `compare`.

        Args:
            tokenizer: the policy's; None where answers are texts of unknown origin.

        Raises:
            UserError: if a tokenizer is needed and there is none.

        """

    def models(self) -> list[nn.Module]:
        """Return what `build` loaded: frozen, moved with the method's own models, in no checkpoint."""
        return []

    def unknown(self, example: Example) -> str | None:
        """Return why answers to this example cannot be compared, None if they can."""
        return None

    @property
    def description(self) -> str:
        """The judge's class and options in one line, as results state them; never a key or password."""
        return described(self)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that differ between judges whose verdicts may differ: a key for what is stored."""
        return digest(self.description).hex()

    @abstractmethod
    def compare(self, comparisons: Sequence[Comparison], progress: Progress | None = None) -> list[Verdict]:
        """Return one verdict per comparison, in their order; what cannot be judged gets one without a preference.

        Args:
            comparisons: any number.
            progress: is told as verdicts arrive.

        """

    def report(self) -> Mapping[str, Any]:
        """Return what results state beside the verdicts, of all so far: counts, biases, costs; as JSON can hold it."""
        return {}

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """End processes and connections; a later `compare` starts them anew."""
