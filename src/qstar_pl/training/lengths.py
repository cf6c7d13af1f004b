"""Whether prompts and answers fit into the models, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import Trainer

from qstar_pl.errors import UserError
from qstar_pl.models.context import Context
from qstar_pl.models.source import ModelSource


def check_context(context: Context, model: str, prompt_tokens: int, answers: Mapping[str, int]) -> None:
    """Raise UserError if the longest prompt and the longest answer are more than a model can read.

    Args:
        context: the model's.
        model: what the user calls it.
        prompt_tokens: `data.max_prompt_tokens`.
        answers: option that bounds an answer's length → its value.

    """
    for option, tokens in answers.items():
        if context.limit is not None and prompt_tokens + tokens > context.limit:
            raise UserError(
                f"data.max_prompt_tokens + {option} must fit into the {context.limit} {context.reason} of {model}, "
                f"got {prompt_tokens} + {tokens}"
            )


def check_answers_fit(
    trainer: Trainer, sources: Mapping[str, ModelSource], answers: Callable[[], Mapping[str, int]]
) -> None:
    """Raise UserError if prompts and answers do not fit into a model, before one is loaded.

    Without data that bound the prompts there is nothing to compare.

    Args:
        trainer: of the run.
        sources: option → model that reads them.
        answers: returns option → longest answer.

    """
    if (prompt := prompt_tokens(trainer)) is not None:
        for name, source in sources.items():
            check_context(source.capabilities().context, name, prompt, answers())


def prompt_tokens(trainer: Trainer) -> int | None:
    """Return the longest prompt of the trainer's data; None if they do not say."""
    return getattr(_data(trainer), "max_prompt_tokens", None)


def completion_tokens(trainer: Trainer) -> int | None:
    """Return the longest answer in the trainer's data; None if they do not say."""
    return getattr(_data(trainer), "max_completion_tokens", None)


def evaluates(trainer: Trainer) -> bool:
    """Return whether this run measures answers, during training or in its place."""
    if trainer.state.fn != "fit":
        return True
    return trainer.limit_val_batches != 0 and getattr(_data(trainer), "val_fraction", 1.0) != 0


def _data(trainer: Trainer) -> Any:
    return getattr(trainer, "datamodule", None)
