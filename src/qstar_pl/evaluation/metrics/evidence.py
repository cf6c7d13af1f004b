"""What metrics are measured on: answers that were drawn, answers that the data has, and pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, TypeVar

from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.references import final_answers, references
from qstar_pl.models import LanguageModel
from qstar_pl.types import DemonstrationBatch, Example, PreferenceBatch, PromptBatch, Rollout

Found = TypeVar("Found")
Redraw = Callable[[LanguageModel | None, PromptBatch | None], list[str]]
"""See `Answers.redrawn`."""


class Answers:
    """Answers to prompts; rows of one prompt side by side, in as many rows each as the policy drew or a file has.

    What is expensive is computed when a metric first asks for it, and only once.
    """

    def __init__(
        self,
        rollout: Rollout | None,
        texts: Sequence[str],
        *,
        examples: Sequence[Example] | None = None,
        sizes: Sequence[int] | None = None,
        rewards: Callable[[], Mapping[str, Tensor]] | None = None,
        divergences: Callable[[], Tensor] | None = None,
        divergences_from: Callable[[LanguageModel], Tensor] | None = None,
        redraw: Redraw | None = None,
    ) -> None:
        """Hold the answers.

        Args:
            rollout: the answers, with the log-probabilities of their tokens; None: they are texts alone.
            texts: [rows], decoded, without special tokens.
            examples: [rows], the prompt of each, where there is no rollout to say it.
            sizes: [prompts], how many of these rows answer each prompt; None: rows with one key, side by side, answer
                one.
            rewards: computes `self.rewards`; None: there are none.
            divergences: computes `self.divergences`; None: that needs the models which drew the answers.
            divergences_from: does what `self.divergences_from` says; None: that needs the model which drew the answers.
            redraw: does what `self.redrawn` says; None: the answers were not drawn here.

        Raises:
            ValueError: if texts and examples are not as many.

        """
        if rollout is None:
            self.examples: Sequence[Example] = list(examples or ())
        else:
            self.examples = [rollout.prompts.examples[index] for index in rollout.prompt_index.tolist()]
        if rollout is None and len(texts) != len(self.examples):
            raise ValueError(f"texts must be as many as examples, got {len(texts)} and {len(self.examples)}")
        self._rollout = rollout
        self.texts = list(texts)
        self._sizes = sizes
        self._rewards = rewards
        self._divergences = divergences
        self._divergences_from = divergences_from
        self._redraw = redraw
        self._found: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def rollout(self) -> Rollout:
        """The tokens of the answers; metrics that read it need `Need.TOKENS`.

        Raises:
            UserError: if the answers are texts of a file.

        """
        if self._rollout is None:
            raise UserError("metrics that read tokens must have answers drawn here, got texts of a file")
        return self._rollout

    @property
    def has_tokens(self) -> bool:
        """Whether there is a `rollout`."""
        return self._rollout is not None

    @cached_property
    def of_prompts(self) -> list[slice]:
        """The rows of each prompt [prompts]."""
        if self._sizes is not None:
            return [slice(start, end) for start, end in pairwise(accumulate(self._sizes, initial=0))]
        if self._rollout is not None:
            index = self._rollout.prompt_index.tolist()
        else:
            index = [example.key for example in self.examples]
        starts = [row for row in range(len(index)) if row == 0 or index[row] != index[row - 1]]
        return [slice(start, end) for start, end in pairwise([*starts, len(index)])]

    @property
    def samples(self) -> int:
        """Answers to each prompt; where a file has more to one than to another, the fewest."""
        return min((rows.stop - rows.start for rows in self.of_prompts), default=0)

    @cached_property
    def references(self) -> list[tuple[str, ...]]:
        """The data's own answers to each row's prompt [rows], any of which is right; () where there are none.

        All answers of a question that has several; of a pair the preferred one.
        """
        return [references(example) for example in self.examples]

    @cached_property
    def final_answers(self) -> list[tuple[str, ...]]:
        """The right final answers (of mathematics, of choices) to each row's prompt [rows]; () where there are none."""
        return [final_answers(example) for example in self.examples]

    @cached_property
    def rewards(self) -> Mapping[str, Tensor]:
        """The scores [rows] of the method's judges: "proxy" and "gold", those that there are."""
        return {} if self._rewards is None else self._rewards()

    @property
    def scored(self) -> Mapping[str, Tensor]:
        """`rewards`, if a metric has asked for them by now; {} otherwise, so that nothing is scored for its sake."""
        found: Mapping[str, Tensor] = vars(self).get("rewards", {})
        return found

    @cached_property
    def divergences(self) -> Tensor:
        """D(π_θ‖π_init) [rows, time] at every token, exact over the vocabulary, in nats; 0 where none counts.

        Raises:
            UserError: if the answers are texts of a file.

        """
        if self._divergences is None:
            raise UserError("the divergence from π_init must be of answers drawn here, got texts of a file")
        return self._divergences()

    def divergences_from(self, other: LanguageModel) -> Tensor:
        """Return D(π_θ‖other) [rows, time] at every token, exact over the vocabulary, in nats; 0 where none counts.

        Raises:
            UserError: if the answers are texts of a file, or those of `qstar evaluate`.

        """
        if self._divergences_from is None:
            raise UserError("the divergence from another model must be of answers that validation draws, got others")
        return self._divergences_from(other)

    def once(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """Return what `find` finds of these answers; of metrics that ask under one key, only the first looks."""
        if key not in self._found:
            self._found[key] = find()
        found: Found = self._found[key]
        return found

    def redrawn(self, other: LanguageModel | None = None, prompts: PromptBatch | None = None) -> list[str]:
        """Return what another model answers [rows], drawn with the same seed and settings.

        Args:
            other: the model; None: π_init.
            prompts: the same prompts in its own tokens; None: it reads the policy's.

        Raises:
            UserError: if the answers are texts of a file.

        """
        if self._redraw is None:
            raise UserError("another model can only answer as the policy where answers are drawn, got texts of a file")
        return self._redraw(other, prompts)


@dataclass(frozen=True)
class Demonstrations:
    """Answers of the data, as the policy sees them."""

    batch: DemonstrationBatch
    logprobs: Tensor
    """[prompts, time]: log π_θ of each token, in nats."""


@dataclass(frozen=True)
class Comparisons:
    """Pairs of the data, as the model sees them."""

    batch: PreferenceBatch
    margins: Tensor
    """[pairs]: by how much the model prefers the answer that was preferred: in nats (log π_θ/π_init of the one minus
    that of the other), or in units of reward."""
    quantities: Mapping[str, Tensor] = field(default_factory=dict)
    """[pairs] each: what else the method has of a pair (a learned β, the rewards of both answers)."""
