"""`fit`, `validate`, `test`, `predict`: Lightning's command line, with layers of configuration in the right order."""

from __future__ import annotations

import importlib
import shlex
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger

import qstar_pl.callbacks
import qstar_pl.distributed
import qstar_pl.optim
import qstar_pl.training.start_validation  # noqa: F401 (these make short names of callbacks, optimizers and strategies known)
from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.cli.class_format import brief
from qstar_pl.cli.class_help import Asked, Page, answer_help
from qstar_pl.cli.dispatch import TRAINER_COMMANDS, module_of
from qstar_pl.cli.layers.checkpoints import check_restorable, check_same_method, logged_step, wandb_id_of
from qstar_pl.cli.layers.defaults import MAX_STEPS, RUNS, has_default_cadence, wanted_callbacks
from qstar_pl.cli.layers.names import check_name, snake_case
from qstar_pl.cli.layers.resume import AUTO, LAST, stay_in_folder
from qstar_pl.cli.layers.stack import Layers
from qstar_pl.cli.located import located
from qstar_pl.cli.nulls import check_nulls
from qstar_pl.cli.parser import OneLineParser, is_print_config, prepared, print_flags
from qstar_pl.cli.runs.closing import ClosingFitLoop
from qstar_pl.cli.runs.ending import SAVE_AFTER_S, EndOfRun
from qstar_pl.cli.runs.folders import check_free_folders, claim_folder, give_back
from qstar_pl.cli.runs.interrupt import Stopped, StopSignals
from qstar_pl.cli.runs.loggers import UNNAMED, folder_name, metrics_files, resolve_loggers
from qstar_pl.cli.runs.metrics_file import keep_rows
from qstar_pl.cli.runs.monitors import check_monitors
from qstar_pl.cli.runs.onward import short
from qstar_pl.cli.runs.predictions import check_predicts, write_predictions
from qstar_pl.cli.runs.requeue import requeue
from qstar_pl.cli.runs.run_config import RunConfig
from qstar_pl.cli.runs.summary import metric_lines, run_summary
from qstar_pl.cli.trainer_help import SECTIONS, TEXTS
from qstar_pl.cli.trainer_options import check_trainer_options, whole_first
from qstar_pl.cli.words import command_among
from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.files import full_disk_at
from qstar_pl.methods import RLHFModule
from qstar_pl.models.run_date import begin_run
from qstar_pl.quiet import quieten_commands
from qstar_pl.training.frozen_models import OPTION as ACCEPT_CHANGED


class TrainerParser(OneLineParser, LightningArgumentParser):
    """The parser of Lightning's commands."""


class TrainerCLI(LightningCLI):
    """LightningCLI whose layers are, from the lowest: class defaults, our defaults, checkpoint, YAML, command line."""

    def __init__(self, args: Sequence[str], execute: bool = True, signals: StopSignals | None = None) -> None:
        self.execute = execute
        self.first = next(iter(args), "")
        """The first word: the command, unless options stand in front of it."""
        self.signals = signals or StopSignals()
        self.continued: Path | None = None
        """The checkpoint of a run that continues in its own folder."""
        self.claimed: Sequence[Path] = ()
        """Folders that were created for this run."""
        super().__init__(
            RLHFModule,
            RLHFDataModule,
            save_config_callback=RunConfig,
            seed_everything_default=0,
            parser_class=TrainerParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,  # methods take their optimizer and schedule as arguments
            parser_kwargs={"prog": "qstar"},
            args=prepared(args),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add this project's own options."""
        parser.add_argument(
            "--name",
            type=str | None,
            default=None,
            help="Name of the run's folder under runs/; by default the method's.",
        )
        parser.add_argument(
            f"--{ACCEPT_CHANGED}",
            type=bool,
            default=False,
            help="Go on beside other frozen models (expert, reward, reference) than the checkpoint was trained with.",
        )
        parser.add_argument(
            "--date",
            type=str | None,
            default=None,
            help="Day that chat templates take for today, YYYY-MM-DD; by default the run's.",
        )

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        for action in parser._actions:
            if action.dest in TEXTS:
                action.help = TEXTS[action.dest]
            elif action.dest.startswith("trainer."):
                action.help = brief(action.help or "")
                if hasattr(action, "_typehint"):
                    action._typehint = whole_first(action._typehint)
        return parser

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override] # (a static method there)
        """Return the commands that need a parser, each of which takes 0.2 s to make."""
        known = LightningCLI.subcommands()
        # `qstar --config all.yaml fit` may have sections for the others; with the command in front nothing has.
        return {self.first: known[self.first]} if self.first in known else known

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the user's words above the checkpoint's layer and the defaults."""
        command = command_among(args, TRAINER_COMMANDS) or TRAINER_COMMANDS[0]
        # Not given to the parser, which would print before names, loggers and callbacks are settled.
        self.typed = [word for word in args if not is_print_config(word)]
        self.print_flags = next((print_flags(word) for word in args if is_print_config(word)), None)
        asked = Asked.by(self.typed)
        layers = Layers.of(command, self.typed if asked is None else asked.rest)
        self.names, self.checkpoint = layers.given.names, layers.checkpoint
        self.config = layers.parsed_by(parser)
        if asked is not None:
            page = Page(f"qstar {command}", importlib.import_module(module_of(command)).__doc__, SECTIONS)
            asked = replace(asked, given=asked.given | layers.given.options)
            answer_help(self._parser(command), page, asked, self.config[command])
        for part, owner in (("model", None), ("data", None), ("trainer", "lightning.pytorch.Trainer")):
            check_nulls(part, self.config[command][part], owner)

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise UserError(f"seed_everything must be a seed: {error}") from error

    def _parse_ckpt_path(self) -> None:
        """Do nothing: `checkpoint_layer` has taken the checkpoint's configuration in, below the user's words."""

    def before_instantiate_classes(self) -> None:
        """Name the run, bound its length if nothing else does, and find what it continues from."""
        command = self.config.subcommand
        if command != "fit":
            # A validation has a folder of its own, so the ModelCheckpoint that is restored finds another `dirpath`.
            warnings.filterwarnings("ignore", message="The dirpath has changed from")
        config = self.config[command]
        # Resolved here, so that config.yaml and checkpoints hold the day and a later run reads the same prompts.
        config.date = begin_run(config.date).isoformat()
        trainer = config.trainer
        check_trainer_options(trainer)
        method = config.model.class_path.rpartition(".")[2]
        check_name(config.name)  # again: this one may come from a checkpoint
        self.name = config.name or snake_case(method)
        # A logger from an earlier run's config.yaml bears that run's name, which nobody gave it for this one.
        unnamed = {*UNNAMED, snake_case(method), *self.names}
        trainer.logger = resolve_loggers(trainer.logger, trainer.default_root_dir or RUNS, self.name, command, unnamed)
        if self.checkpoint is not None and isinstance(trainer.callbacks, list):
            trainer.callbacks = _without_repetitions(trainer.callbacks)
        metrics = config.model.init_args.get("metrics")
        if self.checkpoint is not None and isinstance(metrics, list):
            config.model.init_args.metrics = _without_repetitions(metrics)
        trainer.callbacks = wanted_callbacks(trainer)
        if command == "fit" and trainer.max_steps == -1 and trainer.max_epochs is None and trainer.max_time is None:
            trainer.max_steps = MAX_STEPS
        if self.checkpoint is not None and command == "fit":  # the other commands only read weights
            check_same_method(method, self.checkpoint)
        if config.ckpt_path in (LAST, AUTO):
            self._continue_last(command, config)
        if self.print_flags is not None:  # now that the configuration is what the run would use
            sys.stdout.write(self._parser(command).dump(config, **self.print_flags))
            raise SystemExit(0)

    def _located(self) -> AbstractContextManager[None]:
        return located(model=self._get(self.config, "model"), data=self._get(self.config, "data"))

    def instantiate_classes(self) -> None:
        """Build model, data and trainer; a mistake in an argument names the option."""
        with self._located():
            super().instantiate_classes()

    def _continue_last(self, command: str, config: Any) -> None:
        """Continue where the last run of this name stopped, in its folder."""
        config.ckpt_path = None if self.checkpoint is None else str(self.checkpoint)
        if self.checkpoint is not None and command == "fit":
            self.continued = self.checkpoint
            stay_in_folder(config.trainer.logger, self.checkpoint, wandb_id_of(self.checkpoint))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer; nothing is deleted that an earlier run left in its folder."""
        try:
            trainer = super().instantiate_trainer(**{**self._plugins(), **kwargs})
        except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
            given = self._get(self.config, "trainer")
            if "invalid strategy name" in str(error):
                raise UserError(
                    f"trainer.strategy must be auto, or a strategy such as ddp, fsdp2 or fsdp, got {given['strategy']}"
                ) from error
            raise UserError(f"trainer (accelerator={given['accelerator']}): {error}") from error
        self.model.resume.accept_changed_models = bool(self._get(self.config, ACCEPT_CHANGED))
        if self.execute:
            self.signals.attach(trainer)
        folders = [one for one in trainer.callbacks if isinstance(one, RunConfig)]  # type: ignore[attr-defined]
        for folder in folders:  # none under fast_dev_run
            folder.continued = self.continued
            folder.words = ("qstar", *self.typed)
        if folders and trainer.is_global_zero:
            if self.execute:
                self.claimed = claim_folder(trainer.loggers)
            for logger in trainer.loggers:
                if isinstance(logger, CSVLogger):
                    keep_rows(logger)
        if self.execute and self.subcommand == "fit":
            self._see_to_the_end(trainer)
        return trainer

    def _see_to_the_end(self, trainer: Trainer) -> None:
        """Add the callback that ends the run, after those that watch and before those that write checkpoints."""
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        self.ending = EndOfRun(
            self.typed,
            self.name,
            self.signals,
            validate=has_default_cadence(self._get(self.config, "trainer")),
            save_after_s=SAVE_AFTER_S if any(getattr(one, "save_last", False) for one in callbacks) else None,
            continued=self.continued,
        )
        if self.continued is not None:
            ClosingFitLoop.replace(trainer)
        # Lightning calls callbacks in this order, and moves those that write checkpoints to the end.
        first = next((index for index, one in enumerate(callbacks) if isinstance(one, Checkpoint)), len(callbacks))
        callbacks.insert(first, self.ending)

    def _plugins(self) -> dict[str, Any]:
        """Return the trainer's plugins with atomic checkpoint writing, unless the user brings a CheckpointIO."""
        given = self._get(self.config_init, "trainer")["plugins"] or []
        given = given if isinstance(given, list) else [given]
        if any(isinstance(plugin, CheckpointIO) for plugin in given):
            return {}
        return {"plugins": [*given, AtomicCheckpointIO()]}

    def _run_subcommand(self, subcommand: str) -> None:
        if not self.execute:  # an experiment drives the trainer, see `build`
            return
        folders = [one for one in self.trainer.callbacks if isinstance(one, RunConfig)]  # type: ignore[attr-defined]
        try:
            if subcommand == "predict":
                check_predicts(self.model)
            if self.checkpoint is not None:
                check_restorable(self.checkpoint)
            if folders:
                check_free_folders(self.trainer, subcommand)
            self._print_summary(subcommand)
            with full_disk_at(Path(self.trainer.default_root_dir)), self._located():
                super()._run_subcommand(subcommand)
        except Stopped as stop:
            requeue(self.trainer, stop.number)
            raise
        finally:
            for folder in folders:
                folder.release()
            give_back(self.claimed)

    def fit(self, **kwargs: Any) -> None:
        """Train, then print where the run is and how to continue it; a run that is complete is left as it is."""
        before = self.ending.before(self.trainer)
        if before is None:
            self.trainer.fit(**kwargs)
            self.ending.mark(self.trainer)
        lines = self.ending.lines(self.trainer, before)
        if lines and self.trainer.is_global_zero:
            print("\n".join(lines), flush=True)
        if lines and before is None:
            check_monitors(self.trainer)

    def validate(self, **kwargs: Any) -> None:
        """Measure, and print every metric on a line of its own, since Lightning's table truncates their names."""
        self._measure(self.trainer.validate, kwargs)

    def test(self, **kwargs: Any) -> None:
        """As `validate`, on the test split."""
        self._measure(self.trainer.test, kwargs)

    def _measure(self, run: Callable[..., Sequence[Mapping[str, float]]], kwargs: dict[str, Any]) -> None:
        if self.checkpoint is not None:
            # Loggers take the step from here; it is to be that of the weights, not 0.
            self.trainer.fit_loop.epoch_loop._batches_that_stepped = logged_step(self.checkpoint)
        results = run(**{**kwargs, "verbose": False})
        if not self.trainer.is_global_zero:
            return
        print(metric_lines(results), flush=True)
        logs = metrics_files(self.trainer.loggers)
        if logs and not getattr(self.trainer, "fast_dev_run", False):
            print("\n".join(f"results: {path}" for path in logs), flush=True)
            if self.checkpoint is not None and self.subcommand == "validate":
                print(
                    f"  test:     {shlex.join(['qstar', 'test', '--ckpt_path', str(short(self.checkpoint))])}",
                    flush=True,
                )

    def predict(self, **kwargs: Any) -> None:
        """Predict, and write the answers to files."""
        batches = self.trainer.predict(**{**kwargs, "return_predictions": True})
        if getattr(self.trainer, "fast_dev_run", False):
            return
        root = self._get(self.config, "trainer").default_root_dir or RUNS
        folder = None if self.trainer.loggers else Path(root, str(folder_name(self.name, "predict")))
        written = write_predictions(self.trainer, cast(Any, batches) or [], folder)
        look = ["qstar", "data", "--path", str(written), "--examples", "3"]
        print(f"predictions: {written}\n  look:     {shlex.join(look)}", flush=True)

    def _dump_config(self) -> None:
        """Keep the configuration as plain values, as Lightning does, but without checking it once more."""
        if not hasattr(self, "config_dump"):
            text = self.parser.dump(self.config, skip_unset=False, skip_validation=True, skip_link_targets=False)
            self.config_dump = yaml.safe_load(text)[self.subcommand]

    def _print_summary(self, subcommand: str) -> None:
        self._dump_config()
        folder = self.trainer.log_dir  # read on every rank, since this property broadcasts
        if self.trainer.is_global_zero:
            written = None if getattr(self.trainer, "fast_dev_run", False) else folder
            continued = None if self.checkpoint is None else str(short(self.checkpoint))
            print(run_summary(subcommand, self.config_dump, written, continued), flush=True)


def run_trainer(argv: Sequence[str]) -> None:
    """Run one of Lightning's commands; `argv` are the words after `qstar`."""
    quieten_commands()
    signals = StopSignals()
    signals.catch()  # before the models are loaded, which may take long
    try:
        TrainerCLI(argv, signals=signals)
    finally:
        signals.release()


def _without_repetitions(entries: list[Any]) -> list[Any]:
    """Drop later ones of equal entries: a repeated command appends (`callbacks+`) what the checkpoint already holds."""
    return [one for i, one in enumerate(entries) if one not in entries[:i]]
