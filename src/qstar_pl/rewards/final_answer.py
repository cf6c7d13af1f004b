"""The reward of a final answer: whether it is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.rewards.answers import find_answers, same_answer
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example, Rollout

FIELDS = ("final_answer", "answers")


class FinalAnswerReward(Reward):
    """1 if an answer's final answer is the reference, or one of several, else 0.

    The final answer stands in the last \\boxed{}, else behind "####", else behind "the answer is"; without such a mark
    it is the last number or formula, or the whole text if it is short (see `find_answers`). What counts as the same is
    stated in `same_answer`: numbers by value, LaTeX by what it means, choices by their letter, words as in SQuAD.

    The comparison is the project's own. Its arithmetic is exact or to 35 digits, bounded in time and memory, and the
    same in every thread and process; computer algebra (math-verify, sympy) is none of that on a stranger's text:
    there, 9**9**9 is ended by a signal that only a main thread can set.
    """

    some_unknown: ClassVar[bool] = True

    def __init__(self, fields: tuple[str, ...] = FIELDS, unmarked: bool = True) -> None:
        """Describe the reward.

        Args:
            fields: names in an example's metadata, or columns of its row, that hold the reference: a text, a number, or
                a list of them of which any is right. The first that is there counts.
            unmarked: without a mark, take the last number or formula, or the whole text; otherwise the reward is 0.

        """
        super().__init__()
        if not fields:
            raise UserError("fields must name at least one column with the final answer, got none")
        self.fields = tuple(fields)
        self.unmarked = unmarked

    def references(self, example: Example) -> list[str]:
        """Return the right answers of an example; none if it has none."""
        row = example.metadata.get("row")
        # What an adapter has made of a row comes before the row itself.
        for place in (example.metadata, row if isinstance(row, dict) else {}):
            for name in self.fields:
                found = _texts(place.get(name))
                if found:
                    return found
        return []

    def unknown(self, example: Example) -> str | None:
        """See `Reward.unknown`."""
        return None if self.references(example) else f"it has no {' or '.join(self.fields)}, or --model.reward.fields"

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`; 0 for all answers to an example without a reference."""
        references = [self.references(example) for example in rollout.prompts.examples]
        pairs = zip(rollout.prompt_index.tolist(), completions, strict=True)
        right = [self.is_right(text, references[index]) for index, text in pairs]
        return torch.tensor(right, dtype=torch.float32, device=rollout.completion_ids.device)

    def is_right(self, text: str, references: Sequence[str]) -> bool:
        """Return whether the final answer in a text is one of the references."""
        found = find_answers(text, unmarked=self.unmarked)
        return any(same_answer(answer, reference) for answer in found for reference in references)


def _texts(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    # A bool is an int to Python, and no answer.
    if isinstance(value, bool) or value is None:
        return []
    return [str(value).strip()] if isinstance(value, str | int | float) and str(value).strip() else []
