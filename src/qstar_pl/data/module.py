"""The data module that all methods share."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from transformers import PreTrainedTokenizerBase

from qstar_pl.data.adapter import Adapter
from qstar_pl.data.collate import COLLATES, Collate, PromptCollate
from qstar_pl.data.encoding import Encoded, Encoder
from qstar_pl.data.hh_rlhf import HHRLHF
from qstar_pl.data.loader import EvaluationLoader, Position, TrainLoader
from qstar_pl.data.order import Share, TrainOrder, evaluation_batches
from qstar_pl.data.report import DataReport
from qstar_pl.data.rows import Rows, encode_all, read_examples
from qstar_pl.data.splits import Splits, check_fractions, split_by_prompt
from qstar_pl.errors import UserError
from qstar_pl.models.tokenizers import load_tokenizer


class RLHFDataModule(LightningDataModule):
    """Dialogues with answers, as the batches that the method at hand trains on.

    A training batch is what the LightningModule's `batch_type` says: prompts (each distinct prompt once per epoch),
    demonstrations or preference pairs. Validation and test yield prompts, then demonstrations and pairs as far as the
    rows have them, one loader each; `predict` yields the test split's prompts. See `Encoder` for what is cut from long
    rows, `split_by_prompt` for the splits, `TrainOrder` for batches and processes, `TrainLoader` for resuming.
    """

    report: DataReport
    """What became of the rows; there after `setup`."""

    def __init__(
        self,
        path: str = "tiny",
        adapter: Adapter | None = None,
        split: str | None = None,
        tokenizer: str | None = None,
        batch_size: int = 8,
        eval_batch_size: int | None = None,
        max_prompt_tokens: int = 128,
        max_completion_tokens: int = 64,
        drop_long_answers: bool = False,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        val_limit: int | None = None,
        test_limit: int | None = None,
        max_rows: int | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            path: "tiny" (the embedded dataset), a .json, .jsonl or .parquet file (the first two also .gz), a folder of
                such files, or a dataset's id on the Hugging Face hub.
            adapter: how a row becomes an example. By default the embedded dataset's own, else HH-RLHF's.
            split: on the hub, which split (default: train); in a folder, a word in the path of the files to read.
            tokenizer: hub id or folder of a tokenizer, or "tiny". By default the policy's.
            batch_size: rows per process and micro-step (prompts, demonstrations or pairs). A training split smaller
                than one batch over all processes makes one smaller batch per epoch; the report says so.
            eval_batch_size: the same for validation, test and predict; by default `batch_size`.
            max_prompt_tokens: longer prompts lose their oldest turns, then tokens on the left.
            max_completion_tokens: longer answers are cut on the right and have no EOS then; EOS counts.
            drop_long_answers: leave rows with longer answers out instead.
            val_fraction: part of the prompts for validation.
            test_fraction: part of the prompts for test.
            val_limit: use at most so many validation rows.
            test_limit: use at most so many test rows.
            max_rows: read at most so many rows.
            seed: of the splits, which runs under different seeds so share; with the run's own (`--seed_everything`),
                of the order of training, so that such runs differ in what they see when.
            num_workers: processes that prepare training batches ahead.

        Raises:
            UserError: if a number is out of range.

        """
        super().__init__()
        at_least_one = {
            "batch_size": batch_size,
            "eval_batch_size": eval_batch_size,
            "val_limit": val_limit,
            "test_limit": test_limit,
            "max_rows": max_rows,
        }
        for name, value in at_least_one.items():
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, got {value}")
        if num_workers < 0:
            raise UserError(f"num_workers must be at least 0, got {num_workers}")
        check_fractions(val_fraction, test_fraction)
        self.path = path
        self.adapter = adapter
        self.split = split
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or batch_size
        self.max_prompt_tokens = max_prompt_tokens
        self.max_completion_tokens = max_completion_tokens
        self.drop_long_answers = drop_long_answers
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.val_limit = val_limit
        self.test_limit = test_limit
        self.max_rows = max_rows
        self.seed = seed
        self.num_workers = num_workers
        self.position = Position()
        self._rows: Rows | None = None
        self._used: list[Encoded] = []
        self._splits = Splits([], [], [])
        self._encoder: Encoder | None = None
        self._encoded_rejected: Counter[str] = Counter()
        self._train_loader: TrainLoader | None = None
        self._printed: DataReport | None = None

    def setup(self, stage: str | None = None) -> None:
        """Read, tokenise and split the rows (once per tokenizer), and print the report (once).

        Raises:
            UserError: if the data cannot be read, leave no usable row, or lack what the method needs.

        """
        if self._rows is None:
            self._rows = read_examples(self._adapter(), self.path, self.split, self.max_rows)
        tokenizer = self._tokenizer()
        if self._encoder is None or self._encoder.tokenizer is not tokenizer:
            self._encode(self._rows, tokenizer)
        collate = self._training_collate()
        if stage == "fit":
            self._check_training_rows(collate)
            if self.trainer is None or self.trainer.global_step == 0:
                self.position = Position()  # a new run; a checkpoint's position is loaded after this
        self.report = self._make_report(self._rows, collate)
        if self.report != self._printed:
            self._printed = self.report
            _print(str(self.report))

    def _adapter(self) -> Adapter:
        if self.adapter is not None:
            return self.adapter
        if self.path == "tiny":
            from qstar_pl.data.tiny_world import TinyWorld

            return TinyWorld()
        return HHRLHF()

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        if self.tokenizer is None:
            tokenizer = getattr(self._method, "tokenizer", None)
            if tokenizer is None:
                raise UserError("tokenizer must be given where no model with a tokenizer is trained, got None")
            return tokenizer
        if self._encoder is not None:
            return self._encoder.tokenizer
        return load_tokenizer(self.tokenizer, argument="tokenizer")

    def _encode(self, rows: Rows, tokenizer: PreTrainedTokenizerBase) -> None:
        encoder = Encoder(tokenizer, self.max_prompt_tokens, self.max_completion_tokens, self.drop_long_answers)
        encoded, rejected = encode_all(encoder, rows.examples)
        if not encoded:
            reasons = "; ".join(f"{count}: {reason}" for reason, count in (rows.rejected + rejected).items())
            raise UserError(f"path must hold a usable row, got {rows.read} rows in {self.path} ({reasons or 'empty'})")
        splits = split_by_prompt(
            encoded, val_fraction=self.val_fraction, test_fraction=self.test_fraction, seed=self.seed
        )
        self._encoder = encoder
        self._encoded_rejected = rejected
        self._splits = Splits(splits.train, splits.val[: self.val_limit], splits.test[: self.test_limit])
        self._used = encoded

    @property
    def _method(self) -> Any:
        return None if self.trainer is None else self.trainer.lightning_module

    def _share(self) -> Share:
        # The strategy's own idea of data parallelism: with tensor parallelism, ranks of one group share their data.
        kwargs = None if self.trainer is None else self.trainer.distributed_sampler_kwargs
        return Share(int(kwargs["rank"]), int(kwargs["num_replicas"])) if kwargs else Share()

    def _seal(self) -> bool:
        # See `Sealed`: only plugins that look into batches need it.
        return (
            self.trainer is not None
            and type(self.trainer.precision_plugin).convert_input is not Precision.convert_input
        )

    def _training_collate(self) -> type[Collate]:
        """What `batch_type` of the method asks for; without a method, the most that the rows allow."""
        wanted = getattr(self._method, "batch_type", None)
        if wanted is None:
            return next(collate for collate in reversed(COLLATES) if collate.select(self._used))
        for collate in COLLATES:
            if collate.batch_type is wanted:
                return collate
        raise UserError(f"model must train on one of {[c.batch_type.__name__ for c in COLLATES]}, got {wanted}")

    def _check_training_rows(self, collate: type[Collate]) -> None:
        if not collate.select(self._used):
            raise UserError(
                f"{type(self._method).__name__} must have rows with {collate.needs}; "
                f"none of the {len(self._used)} rows of {self.path} has that"
            )
        if not collate.select(self._splits.train):
            raise UserError(
                f"val_fraction + test_fraction must leave a row to train on, got {self.val_fraction} + "
                f"{self.test_fraction} of {len(self._used)} rows"
            )

    def _make_report(self, rows: Rows, collate: type[Collate]) -> DataReport:
        train_items = len(collate.select(self._splits.train))
        share = self._share()
        return DataReport(
            source=f"{self.path} ({type(self._adapter()).__name__})",
            rows_read=rows.read,
            rows_used=len(self._used),
            rejected=dict(rows.rejected + self._encoded_rejected),
            prompts_cut=sum(row.prompt_cut for row in self._used),
            answers_cut=sum(row.answers_cut for row in self._used),
            max_prompt_tokens=self.max_prompt_tokens,
            max_completion_tokens=self.max_completion_tokens,
            train=len(self._splits.train),
            val=len(self._splits.val),
            test=len(self._splits.test),
            kind=collate.batch_type.__name__,
            train_items=train_items,
            batch_size=min(self.batch_size, max(1, train_items // share.world_size)),
            accumulate=1 if self.trainer is None else self.trainer.accumulate_grad_batches,
            world_size=share.world_size,
        )

    def _collate(self, kind: type[Collate]) -> Collate:
        assert self._encoder is not None, "setup comes first"
        pad = self._encoder.tokenizer.pad_token_id
        return kind(pad_id=0 if pad is None else int(pad))

    def train_dataloader(self) -> TrainLoader:
        """Return the training batches from the current position on."""
        kind = self._training_collate()
        self._check_training_rows(kind)
        rows = kind.select(self._splits.train)
        trainer = self.trainer
        self.teardown()
        order = TrainOrder(
            rows=len(rows),
            batch_size=self.batch_size,
            # A run's seed of 0, as well as a method without one, leaves the order to the data's own.
            seed=self.seed + (getattr(self._method, "sampling_seed", 0) << 32),
            share=self._share(),
            # overfit_batches means the same few batches in every epoch.
            shuffle=not getattr(trainer, "overfit_batches", 0),
            limit=1.0 if trainer is None else trainer.limit_train_batches,
        )
        self._train_loader = TrainLoader(
            rows,
            self._collate(kind),
            order,
            self.position,
            num_workers=self.num_workers,
            pin_memory=trainer is not None and trainer.strategy.root_device.type == "cuda",
            seal=self._seal(),
            unprocessed=self._unprocessed,
        )
        return self._train_loader

    def _unprocessed(self) -> int:
        if self.trainer is None:
            return 0
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return int(progress.ready > progress.processed)

    def _evaluation_loaders(self, rows: list[Encoded], name: str, fraction: float) -> list[EvaluationLoader]:
        if not rows:
            raise UserError(
                f"{name}_fraction must leave a row in the {name} split, got {fraction} of {len(self._used)} rows"
            )
        loaders = []
        for kind in COLLATES:
            if usable := kind.select(rows):
                batches = evaluation_batches(len(usable), self.eval_batch_size, self._share())
                loaders.append(EvaluationLoader(usable, self._collate(kind), batches, seal=self._seal()))
        return loaders

    def val_dataloader(self) -> list[EvaluationLoader]:
        """Return loaders of prompts and, where the rows have them, of demonstrations and of pairs.

        Training with `val_fraction=0` has no validation; any other empty split is an error.
        """
        training = self.trainer is not None and self.trainer.state.fn == "fit"
        if training and self.val_fraction == 0:
            return []
        return self._evaluation_loaders(self._splits.val, "val", self.val_fraction)

    def test_dataloader(self) -> list[EvaluationLoader]:
        """Return loaders as `val_dataloader` does, of the test split."""
        return self._evaluation_loaders(self._splits.test, "test", self.test_fraction)

    def predict_dataloader(self) -> EvaluationLoader:
        """Return the prompts of the test split (all of them, with `test_fraction=1`)."""
        return self._evaluation_loaders(self._splits.test, "test", self.test_fraction)[COLLATES.index(PromptCollate)]

    def teardown(self, stage: str | None = None) -> None:
        """Stop the worker processes."""
        if self._train_loader is not None:
            self._train_loader.close()
            self._train_loader = None


@rank_zero_only
def _print(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
