"""A cell of an experiment with the tiny world put in: one batch of everything, before a cluster is asked for.

Method, sampler, α, weights, optimizer and schedule stay what they are. In the place of models come the embedded ones,
in that of the data the embedded dialogues (programs, where a reward runs them), and in that of the cluster this
machine; answers are cut short.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from jsonargparse import Namespace

from qstar_pl.cli.cells import mistake_in
from qstar_pl.cli.embedded_programs import EmbeddedPrograms
from qstar_pl.cli.errors import explain
from qstar_pl.cli.trainer import TrainerCLI
from qstar_pl.data import Mixture, TinyWorld
from qstar_pl.experiments.matrix import Cell, Experiment
from qstar_pl.methods import RewardModeling
from qstar_pl.models import Pretrained
from qstar_pl.models.tiny import REWARD
from qstar_pl.planning.stand_ins import sources_in
from qstar_pl.quiet import quieten_commands
from qstar_pl.rewards import ExecutionReward, RewardModelReward
from qstar_pl.targets import TopKRewardTilted

POLICY, EXPERT = "tiny/policy", "tiny/expert"
SCORERS = (RewardModelReward, TopKRewardTilted)
"""Whose models have a scalar head."""
HERE = {
    "accelerator": "cpu",
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "precision": "32-true",
    "fast_dev_run": True,
    "num_sanity_val_steps": 0,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
"""What the trainer is told instead."""
ROWS, PROMPT, NEW_TOKENS = 2, 64, 8
"""At most so many prompts in a batch, tokens of a prompt, and tokens of an answer."""


@dataclass(frozen=True)
class Rehearsed:
    """What became of one cell."""

    cell: Cell
    mistake: str | None
    """One line; None: all of it ran."""


class RehearsalCLI(TrainerCLI):
    """Parses and builds what `fit` would, with the tiny world put in; `trainer.fit` is left to the caller."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(["fit", *words], execute=False)

    def before_instantiate_classes(self) -> None:
        """Put in what is small and here first: what follows looks at the trainer's options."""
        put_tiny_world(self.config["fit"])
        super().before_instantiate_classes()


def put_tiny_world(config: Namespace) -> None:
    """Put embedded models and data, and this machine, into a configuration of `fit`; it is changed in place."""
    for place, node, owner in list(sources_in(config.model)):
        node.class_path = f"{Pretrained.__module__}.{Pretrained.__qualname__}"
        node.init_args = Namespace(name=_embedded(place, owner))
    for sampler in ("sampler", "evaluation_sampler"):
        options = config.model.init_args.get(sampler)
        if isinstance(options, Namespace) and "init_args" in options:
            _at_most(options.init_args, "max_new_tokens", NEW_TOKENS)
    schedule = config.model.init_args.get("lr_scheduler")
    if isinstance(schedule, Namespace) and "init_args" in schedule:
        _at_most(schedule.init_args, "warmup_steps", 0)  # one step is all there is
    data = config.data.init_args
    runs_programs = ExecutionReward.__name__ in str(config.model.init_args.get("reward"))
    data.path, data.max_rows = "tiny", ROWS * 32
    if str(getattr(data.adapter, "class_path", "")).endswith(f".{Mixture.__name__}"):
        parts = data.adapter.init_args.parts
        for number, part in enumerate(one.get("init_args", one) for one in parts):
            part.name = _title(part)
            part.path, part.split, part.max_rows = "tiny", None, None
            part.adapter = _embedded_rows(data.max_rows, runs_programs, seed=number)
        # A metric of a part needs a row of it in the one batch of validation.
        data.val_fraction, data.test_fraction, data.eval_batch_size = 0.25, 0.25, data.max_rows * len(parts)
    else:
        data.adapter = _embedded_rows(data.max_rows, runs_programs)
    for name, most in (("batch_size", ROWS), ("max_prompt_tokens", PROMPT), ("max_completion_tokens", PROMPT)):
        _at_most(data, name, most)
    for name, value in HERE.items():
        config.trainer[name] = value


def rehearse(experiment: Experiment, known: set[str] | None = None) -> Iterator[Rehearsed]:
    """Run one batch of everything of every cell, in this process.

    Args:
        experiment: of any variant.
        known: what has been rehearsed already, and is not again; what is rehearsed now is added.

    Yields:
        what became of each cell that differs from those before it.

    """
    quieten_commands()
    known = set() if known is None else known
    for cell in experiment.cells:
        said = io.StringIO()
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(said), _quietly():
                cli = RehearsalCLI(cell.words)
                cli._dump_config()
                same = str({**cli.config_dump, "name": None})
                if same in known:
                    continue
                known.add(same)
                cli.trainer.fit(cli.model, cli.datamodule)
        except SystemExit:
            yield Rehearsed(cell, str(mistake_in(cell, said.getvalue())))
            continue
        except Exception as error:
            line = explain(error)
            if line is None:  # no mistake of the user's
                raise
            yield Rehearsed(cell, str(mistake_in(cell, line)))
            continue
        score = experiment.evaluation.score
        logged = cli.trainer.callback_metrics
        yield Rehearsed(cell, None if score in logged else f"cell {cell.name}: its validation reports no {score}")


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what Lightning says of every run of one batch, and what diagnostics make of its few tokens."""
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _embedded_rows(count: int, runs_programs: bool, seed: int = 0) -> Namespace:
    """Return the adapter that makes embedded rows, other ones with another seed."""
    kind = EmbeddedPrograms if runs_programs else TinyWorld
    path = f"{kind.__module__}.{kind.__qualname__}"
    return Namespace(class_path=path, init_args=Namespace(size=count, seed=seed))


def _title(part: Any) -> str:
    """Return what a part of a mixture is called, of its own or by its path and adapter."""
    return part.get("name") or f"{part.path} ({part.adapter.class_path.rpartition('.')[2]})"


def _embedded(place: str, owner: Any) -> str:
    """Return the embedded model that plays the part of the one at an option."""
    if isinstance(owner, type) and issubclass(owner, SCORERS):
        return REWARD
    trained = isinstance(owner, type) and issubclass(owner, RewardModeling)
    return POLICY if trained or place.startswith("model.policy") else EXPERT


def _at_most(options: Namespace, name: str, most: int) -> None:
    if (options.get(name) or 0) > most:
        options[name] = most
