"""A validation that was due when a checkpoint was written, but had not been run."""

from __future__ import annotations

from lightning.pytorch import Trainer

KEY = "qstar_validation_due_after"


def validation_due_after(trainer: Trainer, validated_step: int | None) -> int | None:
    """Return after how many batches the trainer is about to validate; None if it is not about to.

    A checkpoint that is written after a batch comes before the validation after that batch. Lightning does not make up
    for it, so a run that is killed in between would miss it. During that validation the answer is the same; after it,
    and in any other, None.

    Args:
        trainer: in a run.
        validated_step: optimizer steps taken at the last validation; None before the first.

    """
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    if (
        trainer.state.fn != "fit"
        or trainer.sanity_checking
        or fetcher is None
        or loop.batch_progress.current.ready == 0  # no batch of this epoch has begun
    ):
        return None
    if validated_step == trainer.global_step:
        return None
    return loop._batches_that_stepped if loop._should_check_val_fx(fetcher) else None


def make_up_for_validation(trainer: Trainer, due_after: int) -> None:
    """Validate now, as the trainer would have after its last batch; to be called before the next one.

    Args:
        trainer: which has loaded the checkpoint.
        due_after: from `validation_due_after`; under this number loggers get the metrics.

    """
    loop = trainer.fit_loop.epoch_loop
    # As Lightning's training loop runs a validation: `validating` makes val_loop the active loop, and the logger
    # connector's place in the epoch, which the validation moves, is put back afterwards.
    first, stepped = trainer._logger_connector._first_loop_iter, loop._batches_that_stepped
    trainer.validating, loop._batches_that_stepped = True, due_after
    loop.val_loop.run()
    trainer.training, loop._batches_that_stepped = True, stepped
    trainer._logger_connector._first_loop_iter = first
