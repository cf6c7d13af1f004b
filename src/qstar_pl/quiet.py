"""Silences what libraries print on every run and the user can do nothing about: each line here, with its reason.

`quieten` holds for the command line and for Python alike; every method calls it. `quieten_commands` adds what is
moot because `qstar` itself sees to it: from Python those messages may name a real problem.
"""

from __future__ import annotations

import logging
import warnings

_ADVERTISEMENTS = ("litlogger", "litmodels")
_OF_TRAINERS = (
    "GPU available: ",  # what is used is a line of `RunReport`; "available but not used" is a warning, and stays
    "TPU available: ",
    "HPU available: ",
)
_OF_MODELS = (
    # Rows are padded behind their tokens, where causal attention needs no mask, and elsewhere with a mask (see
    # `Reader.padded`); the warning looks at the token's number alone, which prompts and answers may hold.
    "We strongly recommend passing in an `attention_mask`",
)
_OF_COMMANDS = (
    "Seed set to ",  # `--seed_everything` is in config.yaml
    "`Trainer.fit` stopped: ",  # how a run ended is said by `EndOfRun`
    "Restoring states from the checkpoint",  # which checkpoint is said before models are loaded
    "Restored all states from the checkpoint",
    "Loaded model weights from the checkpoint",
    "Initializing distributed: ",  # the number of processes is a line of `RunReport`
    "-" * 100,  # a banner that says the same
    "was configured so ",  # repeats an option that is 1, such as `limit_val_batches`
    "Detected KeyboardInterrupt",  # what Ctrl-C stopped, and how to go on, is said by the commands
)
_LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.fabric.utilities.distributed",
    "transformers.modeling_utils",
)


def quieten() -> None:
    """Hide such warnings and advertisements, from here on in this process."""
    for message in (
        ".*LeafSpec.*deprecated",  # Lightning on torch ≥ 2.10
        r"Found \d+ module\(s\) in eval mode",  # on purpose, see RLHFModule
        ".*returned a view tensor",  # FSDP2 on models that slice their logits
        ".*sync_dist=True.*",  # what is logged is of all ranks already
        "Using ModelCheckpoint with manual optimization",  # after a step, as meant
        # False where an epoch is shorter than the interval: steps are counted across epochs.
        r"The number of training batches .* is smaller than the logging interval",
    ):
        _ignore(message)
    _drop(_ADVERTISEMENTS + _OF_TRAINERS + _OF_MODELS)


def quieten_commands() -> None:
    """Hide what the commands make moot as well."""
    from jsonargparse._deprecated import JsonargparseDeprecationWarning

    quieten()
    warnings.filterwarnings("ignore", category=JsonargparseDeprecationWarning)  # LightningCLI's own calls
    _ignore("Experiment logs directory .* exists")  # `MetricsFile` keeps its rows
    _ignore("Checkpoint directory .* exists and is not empty")  # nothing is lost: run folders are claimed and locked
    _ignore("Total length of `list` across ranks is zero")  # no validation, as asked: other empty splits are errors
    _drop(_OF_COMMANDS)


def _ignore(message: str) -> None:
    warnings.filterwarnings("ignore", message=message)


def _drop(phrases: tuple[str, ...]) -> None:
    """Drop log records that hold one of the phrases."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Without) and one.phrases == phrases for one in logger.filters):
            logger.addFilter(_Without(phrases))


class _Without(logging.Filter):
    def __init__(self, phrases: tuple[str, ...]) -> None:
        super().__init__()
        self.phrases = phrases

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(phrase in message for phrase in self.phrases)
