"""Sources in one word."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from qstar_pl.data.reading.read import SUFFIXES
from qstar_pl.errors import UserError
from qstar_pl.evaluating.sources.data import DataAnswers
from qstar_pl.evaluating.sources.file import AnswersFile
from qstar_pl.evaluating.sources.model import ModelAnswers
from qstar_pl.evaluating.sources.source import AnswerSource
from qstar_pl.generation.parts import model_source
from qstar_pl.models.tiny import resolve

CLASSES = [one.__name__ for one in (AnswersFile, DataAnswers, ModelAnswers)]


def source_of(word: str, argument: str, dtype: str = "float32", trust_remote_code: bool = False) -> AnswerSource:
    """Return the source that a word of the command line stands for.

    Args:
        word: "chosen" or "rejected" (the data's own), a file that rows are read from, a .ckpt of `qstar fit`, a folder
            with a model, a hub id, or tiny/policy.
        argument: what the user calls it, for messages.
        dtype: of a model's weights.
        trust_remote_code: run code that comes with the model.

    Raises:
        UserError: if it is empty, or no tiny model.

    """
    if not word.strip():
        raise UserError(f"{argument} must name a model, a file of answers, chosen or rejected, got nothing")
    if word in ("chosen", "rejected"):
        return DataAnswers("chosen" if word == "chosen" else "rejected")
    if word.endswith(SUFFIXES):
        return AnswersFile(word)
    near = get_close_matches(word, CLASSES, n=1, cutoff=0.7)
    if near and not Path(word).exists():
        raise UserError(
            f"{argument} must name a model, a file of answers or a class, got {word}; did you mean {near[0]}?"
        )
    resolve(word, argument)
    return ModelAnswers(model_source(word, dtype, trust_remote_code))
