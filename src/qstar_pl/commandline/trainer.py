"""`fit`, `validate`, `test`, `predict`: Lightning's command line with the layers in the right order."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

import yaml
from jsonargparse import set_parsing_settings
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import qstar_pl.callbacks
import qstar_pl.distributed
import qstar_pl.optim  # noqa: F401 (makes the short names of callbacks, optimisers and strategies known to the parser)
from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.cli import TRAINER_COMMANDS
from qstar_pl.commandline.checkpoints import checkpoint_layer, wandb_id_of
from qstar_pl.commandline.defaults import MAX_STEPS, RUNS, defaults, snake_case, wanted_callbacks
from qstar_pl.commandline.errors import MISTAKE, debugging, say, user_error
from qstar_pl.commandline.messages import essence
from qstar_pl.commandline.resume import LAST, find_last, stay_in_folder
from qstar_pl.commandline.run_folder import (
    RunConfig,
    keep_earlier_metrics,
    resolve_loggers,
    write_predictions,
)
from qstar_pl.commandline.summary import metric_lines, run_summary
from qstar_pl.data import RLHFDataModule
from qstar_pl.errors import UserError
from qstar_pl.methods import RLHFModule


class OneLineParser(LightningArgumentParser):
    """A parser that says in one line what is wrong."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the essence and leave with exit code 2; SystemExit, since jsonargparse rewraps ValueErrors."""
        if not self.exit_on_error:
            super().error(message, ex)
        if debugging():
            traceback.print_exception(ex) if ex else print(message, file=sys.stderr)
        own = user_error(ex) if ex is not None else None
        say(own if own is not None else essence(message, self._option_names()))
        raise SystemExit(MISTAKE)

    def _option_names(self) -> list[str]:
        names = {action.dest for parser in self._parsers() for action in parser._actions}
        return sorted(name for name in names if name not in (argparse.SUPPRESS, "subcommand"))

    def _parsers(self) -> list[argparse.ArgumentParser]:
        action = self._subcommands_action
        used = [word for word in getattr(self, "args", None) or [] if word in TRAINER_COMMANDS]
        return [self, *([action.choices[used[0]]] if action and used else [])]


class TrainerCLI(LightningCLI):
    """LightningCLI whose layers are, from the lowest: class defaults, our defaults, checkpoint, YAML, command line."""

    def __init__(self, args: Sequence[str], execute: bool = True) -> None:
        self.execute = execute
        self.continued: Path | None = None
        """The checkpoint that `--ckpt_path last` has found."""
        super().__init__(
            RLHFModule,
            RLHFDataModule,
            save_config_callback=RunConfig,
            seed_everything_default=0,
            parser_class=OneLineParser,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            parser_kwargs={"prog": "qstar"},
            args=list(args),
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what is ours."""
        parser.add_argument(
            "--name", type=str | None, default=None, help="Run folder under runs/; default: the method."
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the user's words above the checkpoint's layer and the defaults."""
        command = next(word for word in args if word in TRAINER_COMMANDS)
        layers = [defaults(), checkpoint_layer(command, args)]
        # As the content of --config on the level above the subcommand, which is read before the user's own files.
        lower = [f"--config={_one_line_yaml({command: layer})}" for layer in layers if layer]
        self.config = parser.parse_args([*lower, *args])

    def _parse_ckpt_path(self) -> None:
        """Do nothing: `checkpoint_layer` has been there, on the right level."""

    def before_instantiate_classes(self) -> None:
        """Name the run, and bound its length if nothing else does."""
        command = self.config.subcommand
        if command != "fit":
            # The folder of a validation is not that of the training; nothing is lost by that.
            warnings.filterwarnings("ignore", message="The dirpath has changed from")
        config = self.config[command]
        trainer = config.trainer
        name = config.name or snake_case(config.model.class_path.rpartition(".")[2])
        trainer.logger = resolve_loggers(trainer.logger, trainer.default_root_dir or RUNS, name)
        trainer.callbacks = wanted_callbacks(trainer)
        if config.ckpt_path == LAST:
            self._continue_last(command, config, name)
        if trainer.max_steps == -1 and trainer.max_epochs is None and trainer.max_time is None:
            trainer.max_steps = MAX_STEPS

    def _continue_last(self, command: str, config: Any, name: str) -> None:
        """Go on where the last run of this name stopped; the first of them begins anew."""
        root = config.trainer.default_root_dir or RUNS
        checkpoint = find_last(root, name)
        if checkpoint is None and command != "fit":
            raise UserError(f"ckpt_path must name a checkpoint, got last, and {root}/{name} holds none yet")
        config.ckpt_path = None if checkpoint is None else str(checkpoint)
        if checkpoint is not None:
            self.continued = checkpoint
            stay_in_folder(config.trainer.logger, checkpoint, wandb_id_of(checkpoint))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer; nothing that an earlier run left in its folder is deleted."""
        try:
            trainer = super().instantiate_trainer(**{**self._plugins(), **kwargs})
        except (ValueError, MisconfigurationException) as error:
            given = self._get(self.config, "trainer")
            if "invalid strategy name" in str(error):
                raise UserError(
                    f"trainer.strategy must be auto, or a strategy such as ddp, fsdp2 or fsdp, got {given['strategy']}"
                ) from error
            raise UserError(f"trainer (accelerator={given['accelerator']}): {error}") from error
        keep_earlier_metrics(trainer, self.continued)
        return trainer

    def _plugins(self) -> dict[str, Any]:
        """Return the trainer's plugins with our way to write checkpoints, unless the user brings one."""
        given = self._get(self.config_init, "trainer")["plugins"] or []
        given = given if isinstance(given, list) else [given]
        if any(isinstance(plugin, CheckpointIO) for plugin in given):
            return {}
        return {"plugins": [*given, AtomicCheckpointIO()]}

    def _run_subcommand(self, subcommand: str) -> None:
        if self.execute:
            self._print_summary(subcommand)
            super()._run_subcommand(subcommand)

    def validate(self, **kwargs: Any) -> None:
        """Measure, and print every metric on a line of its own: Lightning's table cuts their names."""
        print(metric_lines(self.trainer.validate(**{**kwargs, "verbose": False})), flush=True)

    def test(self, **kwargs: Any) -> None:
        """As `validate`, on the test split."""
        print(metric_lines(self.trainer.test(**{**kwargs, "verbose": False})), flush=True)

    def predict(self, **kwargs: Any) -> None:
        """Write the answers: a terminal has no use for what Lightning would return."""
        batches = self.trainer.predict(**{**kwargs, "return_predictions": True})
        if getattr(self.trainer, "fast_dev_run", False):
            return
        print(f"predictions: {write_predictions(self.trainer, cast(Any, batches) or [])}", flush=True)

    def _print_summary(self, subcommand: str) -> None:
        self._dump_config()
        folder = self.trainer.log_dir  # on every rank: it is broadcast
        if self.trainer.is_global_zero:
            written = None if getattr(self.trainer, "fast_dev_run", False) else folder
            print(run_summary(subcommand, self.config_dump, written), flush=True)


def run_trainer(argv: Sequence[str]) -> None:
    """Run one of Lightning's commands with `argv`, the words after `qstar`."""
    quieten()
    # The line under each field of a strategy is what its help says; reading them takes longer than a run has use for.
    helping = any(word == "-h" or word.partition("=")[0].endswith("help") for word in argv)
    set_parsing_settings(docstring_parse_attribute_docstrings=helping)
    TrainerCLI(argv)


def _one_line_yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=float("inf")).strip()


def quieten() -> None:
    """Hide what others print and our user can do nothing about."""
    from jsonargparse._deprecated import JsonargparseDeprecationWarning

    warnings.filterwarnings("ignore", category=JsonargparseDeprecationWarning)  # LightningCLI's own calls
    warnings.filterwarnings("ignore", message=".*LeafSpec.*deprecated")  # Lightning on torch ≥ 2.10
    warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")  # on purpose, see RLHFModule
    warnings.filterwarnings("ignore", message=".*returned a view tensor")  # FSDP2 on models that slice their logits
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # torchmetrics have added up all ranks already
    warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")  # we keep them
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(_not_an_advertisement)


def _not_an_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage().lower() and "litmodels" not in record.getMessage().lower()
