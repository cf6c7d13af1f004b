"""Silences what libraries print on every run and the user can do nothing about."""

from __future__ import annotations

import logging
import warnings


def quieten() -> None:
    """Hide such warnings and advertisements, from here on in this process."""
    from jsonargparse._deprecated import JsonargparseDeprecationWarning

    warnings.filterwarnings("ignore", category=JsonargparseDeprecationWarning)  # LightningCLI's own calls
    warnings.filterwarnings("ignore", message=".*LeafSpec.*deprecated")  # Lightning on torch ≥ 2.10
    warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")  # on purpose, see RLHFModule
    warnings.filterwarnings("ignore", message=".*returned a view tensor")  # FSDP2 on models that slice their logits
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # what is logged is of all ranks already
    warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")  # `MetricsFile` keeps its rows
    warnings.filterwarnings(
        "ignore", message="Using ModelCheckpoint with manual optimization"
    )  # after a step, as meant
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(_not_an_advertisement)


def _not_an_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage().lower() and "litmodels" not in record.getMessage().lower()
