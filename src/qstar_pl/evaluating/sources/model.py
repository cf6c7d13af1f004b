"""Answers that a model generates."""

from __future__ import annotations

import json
from dataclasses import dataclass

from qstar_pl.evaluating.sources.file import AnswersFile
from qstar_pl.evaluating.sources.source import Answered, Answering, AnswerSource
from qstar_pl.generation.workspace import Workspace
from qstar_pl.models.source import ModelSource


@dataclass(frozen=True)
class ModelAnswers(AnswerSource):
    """Answers sampled from a model, as `qstar generate` does it: with the command's seed, length and temperature."""

    policy: ModelSource
    """The model: `Pretrained` (a folder, a hub id), `FromCheckpoint`, or any other source."""

    @property
    def model(self) -> ModelSource:
        """See `AnswerSource.model`."""
        return self.policy

    def answers(self, asked: Answering) -> Answered:
        """See `AnswerSource.answers`."""
        output = asked.generate(self.policy)
        read = AnswersFile(str(output)).answers(asked)
        run = json.loads(Workspace(output).run.read_text(encoding="utf-8"))
        facts = {
            "model": repr(self.policy),
            "weights": run["models"]["model_theta"],
            "file": output.name,
            "digest": read.facts["digest"],
            "tokens": run["totals"]["tokens"],
            "ended": run["totals"]["ended"],
            "prompts_cut": run["data"]["cut"],
        }
        return Answered(read.texts, facts, read.ignored, run["totals"]["tokens"])
