"""How much memory training has needed."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule, Trainer

from qstar_pl.types import StepReport

from .diagnostic import Diagnostic
from .reductions import MAX

_GIB = 2.0**30


class MemoryDiagnostic(Diagnostic):
    """The peak of the rank that needs most.

    - `memory/peak_gb` = in GiB (2³⁰ bytes): on CUDA the peak of allocated tensors since training started, elsewhere
      the process's peak resident set (from the process's start; absent where the system does not tell)

    Args:
        prog_bar: no effect, since nothing is shown in the progress bar.

    """

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure from here."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(trainer.strategy.root_device)

    def observe(self, trainer: Trainer, report: StepReport) -> None:
        """See `Observer.observe`: the peak is only read when it is logged."""

    def before_flush(self, trainer: Trainer) -> None:
        """See `Observer.before_flush`."""
        device = trainer.strategy.root_device
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_resident_bytes()
        if peak is not None:
            self.add("peak", float(peak), MAX)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        return {"memory/peak_gb": stats["peak"] / _GIB} if stats.get("peak", 0.0) > 0 else {}


def peak_resident_bytes() -> int | None:
    """Return the peak resident set of this process in bytes, None on systems without getrusage."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB on Linux
