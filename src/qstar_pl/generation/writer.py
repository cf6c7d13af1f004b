"""Writes what `predict` returns, batch by batch, so that a killed run can continue."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from qstar_pl import __version__
from qstar_pl.describing import differences
from qstar_pl.errors import UserError
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.merge import merge
from qstar_pl.generation.module import GenerationModule
from qstar_pl.generation.shard import Shard
from qstar_pl.generation.workspace import Workspace
from qstar_pl.locks import Holder, Lock, is_lost, lost

TERMINATED = 128 + 15
"""Exit code after SIGTERM, for example from a scheduler."""


class GenerationWriter(Callback):
    """Makes `trainer.predict(GenerationModule, GenerationData)` a run that survives being killed.

    Before the first batch it finds what an earlier run has finished, which is left out; after each batch it appends the
    rows to this process's shard; at the end it merges all shards in the order of the dataset. See `Workspace` for the
    files. The unit is a batch: its rows are on disk all together or not at all.
    """

    def __init__(
        self,
        output: str,
        save_diagnostics: Literal["none", "rows", "tokens"] = "rows",
        settings: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Describe the output; nothing is touched yet.

        Args:
            output: the file of rows, a JSON object per line; the other files lie next to it.
            save_diagnostics: none, rows (a line per answer) or tokens (also a parquet file with a row per token; the
                module's `save_tokens` must be set).
            settings: the run's settings in the user's words; None: those of the module and the data.
            overwrite: start again, whatever is there.

        """
        self.workspace = Workspace(Path(output))
        self.save_diagnostics = save_diagnostics
        self.settings = settings
        self.overwrite = overwrite
        self.kept_rows = 0
        """Rows that an earlier run had finished."""
        self.totals: dict[str, int] = {}
        """Totals of the whole output once it is merged, on process 0."""
        self.written_rows = 0
        """Rows written by this run and process."""
        self._dealt: list[int] = []
        self._planned = self._processes = 0
        self._lock: Lock | None = None
        self._holder: Holder | None = None
        self._shard: Shard | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lock the output, check that it belongs to this run, and find what is finished."""
        if stage != "predict":
            raise UserError(f"callbacks: GenerationWriter must be used with predict, got {stage}")
        module, data = self._parts(trainer, pl_module)
        settings = dict(self.settings or {})
        if not settings:
            settings = {**module.settings(), **data.settings(), "save_diagnostics": self.save_diagnostics}
            settings |= {"device": trainer.strategy.root_device.type, "precision": str(trainer.precision)}
        asked = {"settings": settings, "data": data.identity()}
        self._take(trainer)
        if self.overwrite:
            if trainer.is_global_zero:
                self.workspace.clear()
            trainer.strategy.barrier()  # nobody looks before all is deleted
        self.workspace.check(asked)
        if trainer.is_global_zero and not self.workspace.complete:
            self._begin(asked, data)
        trainer.strategy.barrier()
        # Of a complete run the shards are gone, so the batches cannot be counted in them.
        everything = frozenset(range(len(data.plan.batches)))
        data.finished = everything if self.workspace.complete else frozenset(self.workspace.finished(data.plan))
        self.kept_rows = sum(len(data.plan.rows_of(batch)) for batch in data.finished)
        self._planned, self._processes = data.plan.rows, trainer.world_size
        trainer.strategy.barrier()  # nobody writes before all have looked

    def _take(self, trainer: Trainer) -> None:
        """Lock the output, so that no other run writes there; all processes must call this."""
        refused = None
        if trainer.is_global_zero:
            try:
                self._lock = Lock.acquire(self.workspace.lock, str(self.workspace))
                if self._lock.taken_from is not None:
                    what = f"took over {self.workspace.output} from {self._lock.taken_from}"
                    print(f"{what}, which has ended in the middle", file=sys.stderr, flush=True)
            except UserError as error:
                refused = str(error)
            except OSError as error:
                if not self.workspace.complete:  # else nothing will be written
                    raise self._failure(error, "what was there is kept") from error
        # All processes must end, or the others would wait for the first one in the next collective call.
        refused = trainer.strategy.broadcast(refused)
        if refused is not None:
            raise UserError(refused)
        self._holder = trainer.strategy.broadcast(None if self._lock is None else self._lock.holder)

    def _check_lock(self) -> None:
        """Raise UserError if another run has taken the output over; process 0 holds the lock for all."""
        if self._holder is not None and is_lost(self.workspace.lock, self._holder):
            raise lost(str(self.workspace.output), self.workspace.lock)

    def _begin(self, asked: Mapping[str, Any], data: GenerationData) -> None:
        now = versions()
        before = self.workspace.stored().get("versions", now)
        if changed := differences(before, now):
            rank_zero_warn(f"{'; '.join(changed)}: tokens that are nearly tied may come out otherwise than before")
        try:
            self.workspace.remember({**asked, "versions": now, **data.date})
            self.workspace.repair(data.plan)
        except OSError as error:
            raise self._failure(error, "what was there is kept") from error

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that the models are those of the earlier run."""
        module, data = self._parts(trainer, pl_module)
        self._dealt = data.dealt()
        module.check_lengths(max(len(row.prompt) for row in data.prompts.encoded))
        self.workspace.check({"models": module.fingerprints()})
        trainer.strategy.barrier()  # process 0 stores the fingerprints only after all have compared theirs
        if trainer.is_global_zero:
            self.workspace.remember({"models": module.fingerprints()})
        trainer.strategy.barrier()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Append the batch's rows."""
        _, data = self._parts(trainer, pl_module)
        if batch_idx >= len(self._dealt):
            return  # one of `GenerationData.fillers`
        records: Sequence[Mapping[str, Any]] = outputs
        self._check_lock()
        if self._shard is None:  # opened by the first batch: a process without batches leaves no file
            self._shard = Shard(self.workspace.shard(trainer.global_rank))
        number = self._dealt[batch_idx]
        try:
            self._shard.append(number, data.plan.rows_of(number), records)
        except OSError as error:
            raise self._failure(error, self._safe()) from error
        self.written_rows += len(records)
        if trainer.received_sigterm:  # Lightning sets it, but its prediction loop does not read it
            print(f"terminated: {self.kept_rows + self.written_rows} rows are kept", file=sys.stderr, flush=True)
            raise SystemExit(TERMINATED)

    def _safe(self) -> str:
        others = " (and what other processes wrote)" if self._processes > 1 else ""
        return f"{self.kept_rows + self.written_rows} of {self._planned} rows are safe{others}"

    def how_to_go_on(self) -> str:
        """Return what is there and how to continue, for a run that is ended from outside at any moment."""
        if self.workspace.complete:
            return f"{self.workspace.output} is complete"
        if not self._planned:
            return f"this run has written nothing yet; the same command writes {self.workspace.output}"
        return f"{self._safe()} in {self.workspace.work}; the same command goes on with the others"

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Release the files, so that a later run in the same process can have them."""
        self._close()
        self._unlock()

    def _close(self) -> None:
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._holder = None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Merge, if all batches are there."""
        self._close()
        trainer.strategy.barrier()  # process 0 reads the shards of all, so all must be closed
        if trainer.is_global_zero:
            _, data = self._parts(trainer, pl_module)
            self._merge(data)
        trainer.strategy.barrier()
        self._unlock()

    def _merge(self, data: GenerationData) -> None:
        workspace = self.workspace
        if workspace.complete:
            workspace.sweep()
            self.totals = dict(workspace.stored()["totals"])
        elif len(workspace.finished(data.plan)) == len(data.plan.batches):  # not so under limit_predict_batches
            self._check_lock()
            try:
                self.totals = merge(workspace, data.plan, self.save_diagnostics)
            except OSError as error:
                raise self._failure(error, f"all {data.plan.rows} rows are safe") from error

    def _failure(self, error: OSError, kept: str) -> UserError:
        return UserError(
            f"output: writing beside {self.workspace.output} failed: {error.strerror or error}; {kept} in "
            f"{self.workspace.work}. {_advice(error)} and run the same command again"
        )

    def _parts(self, trainer: Trainer, pl_module: LightningModule) -> tuple[GenerationModule, GenerationData]:
        data: Any = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, GenerationModule) or not isinstance(data, GenerationData):
            raise UserError(
                "callbacks: GenerationWriter must be used with model GenerationModule and data GenerationData, got "
                f"{type(pl_module).__name__} and {type(data).__name__}"
            )
        return pl_module, data


def versions() -> dict[str, str]:
    """Return the versions of the packages on which rounding depends."""
    return {"qstar_pl": __version__, "torch": torch.__version__, "transformers": transformers.__version__}


def _advice(error: OSError) -> str:
    return "Make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Name an output that can be written"
