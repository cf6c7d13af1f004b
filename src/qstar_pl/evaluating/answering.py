"""The first stage: answers, generated or read."""

from __future__ import annotations

import re
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.launch import Launch
from qstar_pl.evaluating.prompts import Prompts
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.evaluating.sources import Answered, Answering, AnswerSource
from qstar_pl.generation.run import generate_dataset
from qstar_pl.generation.workspace import Workspace
from qstar_pl.models.source import ModelSource


def answered(
    source: AnswerSource,
    argument: str,
    prompts: Prompts,
    settings: EvaluationSettings,
    folder: EvaluationFolder,
    launch: Launch,
    tokens: bool = False,
) -> Answered:
    """Return the answers of a source; what an earlier call has generated is kept.

    Args:
        source: where they come from.
        argument: answers or baseline.
        prompts: to be answered.
        settings: with which a model answers.
        folder: where it writes.
        launch: on which processes.
        tokens: whether a metric reads the tokens of what a model answers.

    Raises:
        UserError: see `AnswerSource.answers` and `generate_dataset`.

    """
    output = folder.generated(argument)

    def generate(model: ModelSource) -> Path:
        before = {} if launch.overwrite else Workspace(output).stored().get("settings", {})
        kept = before.get("save_diagnostics")
        if tokens and kept == "rows":
            raise UserError(
                f"metrics that read tokens must have those of {argument}, got {output} without them; --overwrite "
                "generates it anew"
            )
        keep = tokens or kept == "tokens"
        if launch.judge_only and not Workspace(output).complete:
            raise UserError(f"judge_only must have answers that are stored, got {folder.path} without {output.name}")
        run = generate_dataset(
            settings.generation(model, prompts.adapter, tokens=keep),
            output,
            devices=launch.devices,
            strategy=launch.strategy,
            overwrite=launch.overwrite,
            progress=launch.progress,
            date=launch.date,
            attach=launch.attach,
        )
        if not run.complete:  # the trainer was told to stop early
            raise UserError(f"{argument} must be complete, got {run.kept_rows + run.new_rows} of {run.rows} answers")
        return output

    try:
        return source.answers(Answering(prompts, argument, generate))
    except UserError as error:
        # What `qstar generate` calls the policy has another name here.
        message = re.sub(r"^policy(?=: )|(?<= of )model_theta(?= together)", argument, str(error))
        if message == str(error):
            raise
        raise UserError(message) from error
