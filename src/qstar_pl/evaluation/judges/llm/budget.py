"""What judging may cost, and what it has cost."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from qstar_pl.checks import at_least, positive
from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.reply import Usage

PRICED = 1_000_000
"""Prices are per so many tokens."""


@dataclass(frozen=True)
class Budget:
    """Of one run of one process. What stands in the cache costs nothing."""

    input_price: float | None = None
    """Per million tokens of prompts, in any currency; None: not known, and then no cost is stated."""
    output_price: float | None = None
    """Per million tokens of replies."""
    max_cost: float | None = None
    """Not exceeded: a request is sent only if its longest reply can be paid too."""
    max_requests: int | None = None
    """Repetitions count."""

    def __post_init__(self) -> None:
        at_least(0, input_price=self.input_price, output_price=self.output_price)
        positive(max_cost=self.max_cost)
        at_least(1, max_requests=self.max_requests)
        if (self.input_price is None) != (self.output_price is None):
            raise UserError("input_price and output_price must be given together, got one of them")
        if self.max_cost is not None and self.input_price is None:
            raise UserError("input_price and output_price must be given with max_cost, got neither")

    def cost(self, usage: Usage) -> float | None:
        """Return what tokens cost; None: prices are not known."""
        if self.input_price is None or self.output_price is None:
            return None
        return (usage.prompt * self.input_price + usage.completion * self.output_price) / PRICED


class BudgetError(Exception):
    """The budget does not reach for another request; the text is what the limit is."""

    def __init__(self, option: str, limit: float) -> None:
        super().__init__(f"{limit:g}")
        self.rule = f"budget.{option} must reach for all comparisons"


@dataclass
class Ledger:
    """Counts what is sent and paid, from several threads."""

    budget: Budget
    requests: int = 0
    """Sent, with repetitions."""
    usage: Usage = field(default_factory=lambda: Usage(0, 0))
    """Of all replies that say it, also of those without a verdict."""
    without_usage: int = 0
    """Replies that do not say what they took."""
    failures: Counter[str] = field(default_factory=Counter)
    """Requests that brought no reply, by reason."""
    repetitions: int = 0
    """Requests that were sent again."""
    _committed: float = 0.0
    """Cost of what is paid, with the most that what is under way can cost."""
    _under_way: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def cost(self) -> float | None:
        """What was paid by the replies that say what they took; None: prices are not known."""
        return self.budget.cost(self.usage)

    def reserve(self, most: Usage) -> float:
        """Count a request; return what is put aside for it, to be given to `settle`.

        If only the most that others can cost stands in the way, wait for what they do cost.

        Args:
            most: tokens that the request can take.

        Raises:
            BudgetError: if the budget does not reach.

        """
        price = self.budget.cost(most) or 0.0
        with self._changed:
            if self.budget.max_requests is not None and self.requests >= self.budget.max_requests:
                raise BudgetError("max_requests", self.budget.max_requests)
            while self.budget.max_cost is not None and self._committed + price > self.budget.max_cost:
                if not self._under_way:
                    raise BudgetError("max_cost", self.budget.max_cost)
                self._changed.wait()
            self.requests += 1
            self._committed += price
            self._under_way += 1
            return price

    def settle(self, reserved: float, usage: Usage | None, *, replied: bool) -> None:
        """Say what a request took.

        Args:
            reserved: what `reserve` returned.
            usage: None: it is not known. Then a reply keeps what was put aside for it, and a failure costs nothing.
            replied: whether the model answered.

        """
        with self._changed:
            self._under_way -= 1
            if usage is not None:
                self.usage = Usage(self.usage.prompt + usage.prompt, self.usage.completion + usage.completion)
                self._committed += (self.budget.cost(usage) or 0.0) - reserved
            elif replied:
                self.without_usage += 1
            else:
                self._committed -= reserved
            self._changed.notify_all()

    def repeated(self) -> None:
        """Count a repetition."""
        with self._changed:
            self.repetitions += 1

    def failed(self, reason: str) -> None:
        """Count a request without a reply."""
        with self._changed:
            self.failures[reason] += 1
