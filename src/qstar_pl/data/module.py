"""The data module that all methods share."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import LightningDataModule
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least, within
from qstar_pl.data.adapters.adapter import Adapter, RowSource
from qstar_pl.data.adapters.auto import Auto
from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.adapters.tiny_world import TinyWorld
from qstar_pl.data.batches.attached import Attached
from qstar_pl.data.batches.collate import COLLATES, Collate, PromptCollate, training_collate
from qstar_pl.data.batches.loader import EvaluationLoader, Position, TrainLoader, evaluation_loaders
from qstar_pl.data.batches.mixing import training_order
from qstar_pl.data.report import BatchSize, DataReport, make_report
from qstar_pl.data.selection.filters import RowFilter
from qstar_pl.data.selection.left_out import MAX_LEFT_OUT, check_share
from qstar_pl.data.selection.preparation import Parting, Preparation, Prepared, Selection
from qstar_pl.data.storage.encoded_rows import EncodedRows
from qstar_pl.data.storage.examples import as_examples
from qstar_pl.data.text.chat import remarks
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.data.wording import announce
from qstar_pl.errors import UserError
from qstar_pl.models.tokenizers import load_tokenizer
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example, TensorFields


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
        adapter: RowSource | None = None,
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
        filters: list[RowFilter] | None = None,
        subset_size: int | None = None,
        train_limit: int | None = None,
        system_prompt: str | None = None,
        rendering: Rendering = TokenizerRendering(),
        cache: bool = True,
        cache_dir: str | None = None,
        max_left_out: float = MAX_LEFT_OUT,
    ) -> None:
        """Describe the data; nothing is read yet.

        Args:
            path: "tiny" (the embedded dataset), a .jsonl, .json, .csv or .tsv file (also .gz), .parquet or .arrow, a
                folder of such files, or a dataset's id on the Hugging Face hub ("owner/name" or
                "owner/name:configuration").
            adapter: how a row becomes an example, or a `Mixture` of several datasets. By default the embedded dataset's
                own, else `Auto`, which goes by the columns and prints what it chose.
            split: on the hub, which split (default: train); in a folder, which split of its files.
            tokenizer: hub id or folder of a tokenizer, or "tiny". By default the policy's.
            batch_size: rows per process and micro-step (prompts, demonstrations or pairs). A training split smaller
                than one batch over all processes makes one smaller batch per epoch; the report says so.
            eval_batch_size: the same for validation, test and predict; by default `batch_size`.
            max_prompt_tokens: longer prompts lose their oldest turns, then tokens on the left.
            max_completion_tokens: longest answer, in tokens with EOS; longer ones are cut on the right, without EOS.
            drop_long_answers: leave rows with longer answers out instead of cutting the answers.
            val_fraction: part of the prompts for validation.
            test_fraction: part of the prompts for test.
            val_limit: use at most this many validation rows.
            test_limit: use at most this many test rows.
            max_rows: read at most this many rows (of each part of a mixture).
            seed: of the splits, which runs with different `--seed_everything` therefore share; combined with that one,
                of the order of training, in which such runs differ.
            num_workers: processes that prepare training batches ahead.
            filters: leave rows out by length, reward margin or duplicate prompts, before sub-sampling.
            subset_size: use this many rows, chosen by a hash of their content: smaller subsets are part of larger ones,
                and so are their validation splits.
            train_limit: train on at most this many rows, nested too; the other splits stay as they are.
            system_prompt: a system turn for dialogues without one.
            rendering: how dialogues become text; by default the tokenizer's chat template, else HH-RLHF's form.
            cache: keep token ids on disk, under a hash of texts, tokenizer and options, for 5000 rows and more.
            cache_dir: where (then for any number of rows); by default $XDG_CACHE_HOME/qstar_pl/tokens.
            max_left_out: largest share of the rows read that may be left out; filters and subsets do not count.

        Raises:
            UserError: if a number is out of range.

        """
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size), ("max_rows", max_rows)):
            at_least(1, **{name: value})
        if not path and (adapter is None or adapter.needs_path):
            raise UserError("path must name a file, a folder or a hub id, got nothing")
        within("[0, 1]", max_left_out=max_left_out)
        at_least(0, num_workers=num_workers)
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
        self.max_left_out = max_left_out
        self._resolved: RowSource | None = None
        self.rendering = rendering
        self.preparation = Preparation(
            selection=Selection(tuple(filters or ()), subset_size, system_prompt),
            parting=Parting(val_fraction, test_fraction, val_limit, test_limit, seed, train_limit),
            cache=cache,
            cache_dir=cache_dir,
        )
        self.position = Position()
        self._rows: Rows | None = None
        self._prepared: Prepared | None = None
        self._train_loader: TrainLoader | None = None
        self._printed: DataReport | None = None

    def setup(self, stage: str | None = None) -> None:
        """Read, tokenize and split the rows (once per tokenizer), and print the report (once).

        Raises:
            UserError: if the data cannot be read, leave no usable row, or lack what the method needs.

        """
        source = self._source()
        if self._rows is None:
            rows = self.preparation.read(source, self.path, self.split, self.max_rows)
            check_share(self.path, rows, self.max_left_out)
            self._rows = rows
        tokenizer = self._tokenizer()
        if self._prepared is None or self._prepared.encoder.tokenizer is not tokenizer:
            encoder = Encoder(
                tokenizer, self.max_prompt_tokens, self.max_completion_tokens, self.drop_long_answers, self.rendering
            )
            self._prepared = self.preparation.prepare(self._rows, encoder, self.path)
        collate = self._training_collate()
        if stage == "fit":
            self._check_training_rows(collate)
            if self.trainer is None or self.trainer.global_step == 0:
                self.position = Position()  # a new run; a checkpoint's position is loaded after this
        attached = Attached(self.trainer)
        batch = BatchSize(self.batch_size, attached.accumulate, attached.share.world_size)
        self.report = make_report(source.named(self.path), self._rows, self._prepared, collate, batch)
        if self.report != self._printed:
            self._printed = self.report
            announce("\n".join(self.report.lines(training=stage in (None, "fit"))))
            for line in remarks(self._prepared.encoder.template, self._prepared.dialogues):
                announce(f"  {line}")

    def _source(self) -> RowSource:
        if self._resolved is None:
            self._resolved = (self.adapter or Auto()).resolve(self.path, self.split)
        return self._resolved

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        if self.tokenizer is None:
            tokenizer = getattr(Attached(self.trainer).method, "tokenizer", None)
            if tokenizer is None:
                raise UserError("tokenizer must be given where no model with a tokenizer is trained, got None")
            return tokenizer
        if self._prepared is not None:  # the same object again, by which `setup` sees that nothing has changed
            return self._prepared.encoder.tokenizer
        return load_tokenizer(self.tokenizer, argument="tokenizer")

    @property
    def adapters(self) -> list[Adapter]:
        """The adapters that made the rows, one unless the data are a mixture; there after `setup`."""
        source, found = self._source(), list[Adapter]()
        for example in as_examples(self.examples).of_each_part():
            if (adapter := source.adapter_of(example)) not in found:
                found.append(adapter)
        return found

    @property
    def examples(self) -> Sequence[Example]:
        """What the adapters made of the rows; there after `setup`."""
        return self._rows.examples if self._rows is not None else []

    @property
    def in_tiny_world(self) -> bool:
        """Whether all rows are the tiny world's; there after `setup`."""
        return all(isinstance(adapter, TinyWorld) for adapter in self.adapters)

    def default_reward(self) -> Reward | None:
        """Return the reward that the adapters suggest, None if one of them knows none or they do not agree."""
        suggested = [adapter.default_reward() for adapter in self.adapters]
        kinds = {type(reward) for reward in suggested}
        return suggested[0] if len(kinds) == 1 else None

    @property
    def end_ids(self) -> list[int]:
        """What ends an answer in the data, as they are rendered; nothing before `setup`."""
        return [] if self._prepared is None else [self._prepared.encoder.end_id]

    @property
    def _ready(self) -> Prepared:
        assert self._prepared is not None, "setup comes first"
        return self._prepared

    def _training_collate(self) -> type[Collate]:
        return training_collate(getattr(Attached(self.trainer).method, "batch_type", None), self._ready.rows)

    def _check_training_rows(self, collate: type[Collate]) -> None:
        used = self._ready.rows
        held_out = [part.name for part in (self._rows.parts if self._rows else ()) if part.held_out]
        used = used.take(~used.with_prompts_of(held_out))
        if not used:
            raise UserError(
                f"parts must have a prompt to train on that no part holds out, got none beside {', '.join(held_out)}"
            )
        if not collate.select(used):
            raise UserError(
                f"{type(Attached(self.trainer).method).__name__} must have rows with {collate.needs}; "
                f"none of the {len(used)} rows of {self.path} has that"
            )
        if not collate.select(self._ready.splits.train):
            raise UserError(
                f"val_fraction + test_fraction must leave a row to train on, got {self.val_fraction} + "
                f"{self.test_fraction} of {len(used)} rows"
            )

    def train_dataloader(self) -> TrainLoader:
        """Return the training batches from the current position on."""
        kind = self._training_collate()
        self._check_training_rows(kind)
        rows = kind.select(self._ready.splits.train)
        attached = Attached(self.trainer)
        self.teardown()  # the workers of an earlier loader
        order = training_order(
            rows,
            self._rows.parts if self._rows else (),
            batch_size=self.batch_size,
            # The run's seed takes the upper bits; where it is 0, or the method has none, the data's own alone counts.
            seed=self.seed + (getattr(attached.method, "sampling_seed", 0) << 32),
            share=attached.share,
            shuffle=attached.shuffle,
            limit=attached.limit,
        )
        self._train_loader = TrainLoader(
            rows,
            kind(self._ready.pad_id),
            order,
            self.position,
            num_workers=self.num_workers,
            pin_memory=attached.pin_memory,
            seal=attached.seal,
            ahead=attached.ahead,
            unprocessed=attached.unprocessed,
        )
        return self._train_loader

    @property
    def coming(self) -> tuple[TensorFields, ...]:
        """The training batches after the one at hand, as far as the method asked to see them."""
        return () if self._train_loader is None else tuple(self._train_loader.coming)

    def _evaluation_loaders(self, rows: EncodedRows, name: str, fraction: float) -> list[EvaluationLoader]:
        if not rows:
            raise UserError(
                f"{name}_fraction must leave a row in the {name} split, got {fraction} of {len(self._ready.rows)} rows"
            )
        attached = Attached(self.trainer)
        return evaluation_loaders(rows, self._ready.pad_id, self.eval_batch_size, attached.share, seal=attached.seal)

    def val_dataloader(self) -> list[EvaluationLoader]:
        """Return loaders of prompts and, where the rows have them, of demonstrations and of pairs.

        Training with `val_fraction=0` has no validation; any other empty split is an error.
        """
        if Attached(self.trainer).training and self.val_fraction == 0:
            return []
        return self._evaluation_loaders(self._ready.splits.val, "val", self.val_fraction)

    def test_dataloader(self) -> list[EvaluationLoader]:
        """Return loaders as `val_dataloader` does, of the test split."""
        return self._evaluation_loaders(self._ready.splits.test, "test", self.test_fraction)

    def predict_dataloader(self) -> EvaluationLoader:
        """Return the prompts of the test split (all of them, with `test_fraction=1`)."""
        return self.test_dataloader()[COLLATES.index(PromptCollate)]

    def teardown(self, stage: str | None = None) -> None:
        """Stop the worker processes."""
        if self._train_loader is not None:
            self._train_loader.close()
            self._train_loader = None
