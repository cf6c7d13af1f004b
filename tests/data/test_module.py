import json
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain

import lightning.pytorch as pl
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint

from qstar_pl.data import (
    HHRLHF,
    Adapter,
    LengthFilter,
    Mixture,
    Part,
    PlainRendering,
    PromptResponse,
    RLHFDataModule,
)
from qstar_pl.errors import UserError
from qstar_pl.types import DemonstrationBatch, Example, PreferenceBatch, PromptBatch

QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Toy(pl.LightningModule):
    """Records the prompts of every batch and does nothing else."""

    def __init__(self, tokenizer, batch_type=PromptBatch, fail_at=None):
        super().__init__()
        self.tokenizer = tokenizer
        self.batch_type = batch_type
        self.fail_at = fail_at
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []
        self.types = []
        self.evaluated = {}

    def training_step(self, batch, batch_idx):
        if len(self.seen) == self.fail_at:
            raise RuntimeError("step failed")
        assert isinstance(batch, self.batch_type)
        prompts = batch if isinstance(batch, PromptBatch) else batch.prompts
        self.seen.append(prompts.keys.tolist())
        return self.layer(torch.ones(1, 1, dtype=self.layer.weight.dtype)).sum()

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        prompts = batch if isinstance(batch, PromptBatch) else batch.prompts
        self.evaluated.setdefault(type(batch), []).extend(prompts.keys.tolist())

    test_step = validation_step

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return batch.keys

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data(path, **options):
    return RLHFDataModule(str(path), **({"batch_size": 8, "val_fraction": 0.1, "test_fraction": 0.1} | options))


def fit(module, datamodule, ckpt_path=None, **options):
    trainer = pl.Trainer(**(QUIET | {"max_epochs": 1, "enable_checkpointing": False, "limit_val_batches": 0} | options))
    trainer.fit(module, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=False)
    return trainer


# -- what a batch is


@pytest.mark.parametrize("batch_type", [PromptBatch, DemonstrationBatch, PreferenceBatch])
def test_training_batches_are_what_the_method_asks_for(pairs_file, tokenizer, batch_type):
    module = Toy(tokenizer, batch_type)
    datamodule = data(pairs_file)
    fit(module, datamodule)
    assert datamodule.report.kind == batch_type.__name__
    assert len(module.seen) == datamodule.report.train // 8
    assert {len(batch) for batch in module.seen} == {8}


def test_runs_under_different_seeds_share_the_split_and_not_the_order(pairs_file, tokenizer):
    orders = []
    for seed in (0, 0, 7):
        module = Toy(tokenizer)
        module.sampling_seed = seed
        fit(module, data(pairs_file, batch_size=1))  # so that no row is left over for a last, incomplete batch
        orders.append(module.seen)
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])


def test_without_a_trainer(pairs_file, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    datamodule = data(pairs_file, tokenizer=str(tmp_path / "tokenizer"))
    datamodule.setup()
    batch = next(iter(datamodule.train_dataloader()))
    assert isinstance(batch, PreferenceBatch)
    row = batch.prompts.prompt_ids[0][batch.prompts.prompt_mask[0]]
    assert tokenizer.decode(row).endswith("\n\nAssistant:")
    kinds = [type(next(iter(loader))) for loader in datamodule.val_dataloader()]
    assert kinds == [PromptBatch, DemonstrationBatch, PreferenceBatch]


def test_prompts_of_several_rows_are_drawn_once(tmp_path, tokenizer):
    rows = [
        {"chosen": f"\n\nHuman: q{n % 10}\n\nAssistant: a{n}", "rejected": f"\n\nHuman: q{n % 10}\n\nAssistant: b"}
        for n in range(40)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    module = Toy(tokenizer)
    datamodule = data(file, batch_size=2, val_fraction=0.0, test_fraction=0.0)
    fit(module, datamodule)
    assert sorted(chain(*module.seen)) == sorted({key for batch in module.seen for key in batch})
    assert (datamodule.report.train, datamodule.report.train_items) == (40, 10)


def test_evaluation_loaders(pairs_file, tokenizer):
    module = Toy(tokenizer, PreferenceBatch)
    datamodule = data(pairs_file, val_limit=11, eval_batch_size=4)
    trainer = fit(module, datamodule, limit_val_batches=1.0, num_sanity_val_steps=0)
    train = {key for batch in module.seen for key in batch}
    assert set(module.evaluated) == {PromptBatch, DemonstrationBatch, PreferenceBatch}
    val = module.evaluated[PromptBatch]
    assert len(val) == 11
    module.evaluated = {}
    trainer.test(module, datamodule=datamodule, verbose=False)
    test = module.evaluated[PromptBatch]
    assert len(test) == datamodule.report.test
    assert not set(test) & set(val)
    assert not (set(test) | set(val)) & train
    predicted = torch.cat(trainer.predict(module, datamodule=datamodule)).tolist()
    assert predicted == test


def test_rows_without_answers_have_fewer_loaders(tmp_path, tokenizer):
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": f"q{n}", "completion": "a"}) for n in range(30)))
    module = Toy(tokenizer, DemonstrationBatch)
    datamodule = data(file, adapter=PromptResponse(), val_fraction=0.3)
    fit(module, datamodule, limit_val_batches=1.0)
    assert set(module.evaluated) == {PromptBatch, DemonstrationBatch}
    with pytest.raises(UserError, match=r"Toy must have rows with a pair of answers .*; none of the 30 rows of .*"):
        fit(Toy(tokenizer, PreferenceBatch), data(file, adapter=PromptResponse()))


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_precisions_that_look_into_batches(pairs_file, tokenizer, precision):
    module = Toy(tokenizer, PreferenceBatch)
    datamodule = data(pairs_file)
    trainer = fit(module, datamodule, precision=precision, max_steps=2, limit_val_batches=1)
    assert len(module.seen) == 2
    trainer.test(module, datamodule=datamodule, verbose=False)
    assert set(module.evaluated) == {PromptBatch, DemonstrationBatch, PreferenceBatch}


# -- resuming through the trainer

STEPS = 12
EPOCH = 5


@pytest.fixture(scope="module")
def resumable(tmp_path_factory):
    file = tmp_path_factory.mktemp("resume") / "pairs.jsonl"
    rows = [
        {"chosen": f"\n\nHuman: q{n}\n\nAssistant: a", "rejected": f"\n\nHuman: q{n}\n\nAssistant: b"}
        for n in range(43)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.fixture(scope="module")
def uninterrupted(resumable, tokenizer, tmp_path_factory):
    """A run of 12 batches in epochs of 5, with a checkpoint after every batch and at every epoch's end."""
    folder = tmp_path_factory.mktemp("checkpoints")
    module = Toy(tokenizer)
    fit(
        module,
        data(resumable, val_fraction=0.0, test_fraction=0.0),
        max_epochs=-1,
        max_steps=STEPS,
        enable_checkpointing=True,
        callbacks=[
            ModelCheckpoint(folder, "step{step}", auto_insert_metric_name=False, every_n_train_steps=1, save_top_k=-1),
            ModelCheckpoint(
                folder,
                "epoch{epoch}",
                auto_insert_metric_name=False,
                every_n_epochs=1,
                save_top_k=-1,
                save_on_train_epoch_end=True,
            ),
        ],
    )
    assert len(module.seen) == STEPS
    return module.seen, folder


CHECKPOINTS = [(f"step{step}", step) for step in range(1, STEPS)] + [("epoch0", EPOCH), ("epoch1", 2 * EPOCH)]


def resume(resumable, tokenizer, checkpoint, **options):
    module = Toy(tokenizer)
    datamodule = data(resumable, val_fraction=0.0, test_fraction=0.0, **options)
    fit(module, datamodule, ckpt_path=checkpoint, max_epochs=-1, max_steps=STEPS)
    return module.seen


@pytest.mark.parametrize(("name", "done"), CHECKPOINTS)
def test_resumed_fit_sees_the_rest(resumable, tokenizer, uninterrupted, name, done):
    seen, folder = uninterrupted
    assert resume(resumable, tokenizer, folder / f"{name}.ckpt") == seen[done:]


@pytest.mark.parametrize(("name", "done"), [("step3", 3), ("step7", 7), ("epoch1", 2 * EPOCH)])
def test_resumed_fit_with_workers_sees_the_rest(resumable, tokenizer, uninterrupted, name, done):
    seen, folder = uninterrupted
    assert resume(resumable, tokenizer, folder / f"{name}.ckpt", num_workers=2) == seen[done:]


def save_seen(module, path):
    """Keep what this rank saw where the parent process finds it."""
    path.with_name(f"{path.name}{module.global_rank}").write_text(
        json.dumps([module.seen, sorted(module.evaluated.get(PromptBatch, []))])
    )


class Reporting(Toy):
    """A toy that writes what it saw, as its process may be another."""

    path = None

    def on_fit_end(self):
        save_seen(self, self.path)


def fit_on_two_ranks(resumable, tokenizer, path, ckpt_path=None, **options):
    module = Reporting(tokenizer)
    module.path = path
    datamodule = data(resumable, batch_size=4, val_fraction=0.2, test_fraction=0.0, val_limit=5)
    fit(
        module,
        datamodule,
        ckpt_path,
        **({"max_epochs": -1, "limit_val_batches": 1.0, "num_sanity_val_steps": 0} | options),
    )
    return [json.loads(path.with_name(f"{path.name}{rank}").read_text()) for rank in range(2)]


def test_two_ranks_share_batches_and_resume(resumable, tokenizer, tmp_path):
    two = {"strategy": "ddp_fork", "devices": 2, "max_steps": 6}
    saving = ModelCheckpoint(tmp_path, "{step}", auto_insert_metric_name=False, every_n_train_steps=1, save_top_k=-1)
    ranks = fit_on_two_ranks(
        resumable, tokenizer, tmp_path / "seen", enable_checkpointing=True, callbacks=[saving], **two
    )
    alone = Toy(tokenizer)
    datamodule = data(resumable, batch_size=8, val_fraction=0.2, test_fraction=0.0, val_limit=5)
    fit(alone, datamodule, max_epochs=-1, max_steps=6)
    (first, val), (second, other_val) = ranks
    assert [a + b for a, b in zip(first, second, strict=True)] == alone.seen
    expected = sorted(row.example.key for row in datamodule.val_dataloader()[0].rows)
    assert len(val) > 0
    assert len(expected) % 2 == 1  # the ranks' parts differ in size, and no row is repeated to even them out
    assert len(first) == 6
    epochs = len(alone.seen) // len(datamodule.train_dataloader())
    assert sorted(val + other_val) == sorted(expected * epochs)
    resumed = fit_on_two_ranks(resumable, tokenizer, tmp_path / "resumed", tmp_path / "2.ckpt", **two)
    assert [seen for seen, _ in resumed] == [first[2:], second[2:]]


@pytest.mark.filterwarnings("error:.*dataloader is not resumable.*")
def test_lightning_knows_that_the_loader_is_resumable(resumable, tokenizer, uninterrupted):
    resume(resumable, tokenizer, uninterrupted[1] / "step3.ckpt")


def test_resume_with_limited_epochs_and_validation_in_between(resumable, tokenizer, tmp_path):
    def run(ckpt_path=None, **options):
        module = Toy(tokenizer)
        fit(
            module,
            data(resumable, batch_size=4, val_fraction=0.2, test_fraction=0.0),
            ckpt_path,
            max_epochs=3,
            limit_train_batches=4,
            val_check_interval=2,
            limit_val_batches=1,
            **options,
        )
        return module.seen

    saving = ModelCheckpoint(tmp_path, "{step}", auto_insert_metric_name=False, save_top_k=-1, monitor=None)
    seen = run(enable_checkpointing=True, callbacks=[saving])
    assert len(seen) == 12
    found = sorted(tmp_path.glob("*.ckpt"), key=lambda file: int(file.stem))
    assert len(found) >= 3
    for file in found:
        assert run(file) == seen[int(file.stem) :]


def test_a_batch_whose_step_failed_is_repeated(resumable, tokenizer, uninterrupted, tmp_path):
    seen, _ = uninterrupted
    module = Toy(tokenizer, fail_at=7)
    with pytest.raises(RuntimeError, match="step failed"):
        fit(
            module,
            data(resumable, val_fraction=0.0, test_fraction=0.0),
            max_epochs=-1,
            max_steps=STEPS,
            enable_checkpointing=True,
            callbacks=[OnExceptionCheckpoint(tmp_path, "failed")],
        )
    assert resume(resumable, tokenizer, tmp_path / "failed.ckpt") == seen[7:]


def test_a_second_run_of_the_same_data_module_starts_anew(resumable, tokenizer):
    datamodule = data(resumable)
    first, second = Toy(tokenizer), Toy(tokenizer)
    fit(first, datamodule, max_steps=3)
    fit(second, datamodule, max_steps=3)
    assert first.seen == second.seen


def test_overfit_batches_are_the_same_in_every_epoch(resumable, tokenizer):
    module = Toy(tokenizer)
    fit(module, data(resumable), overfit_batches=2, max_epochs=2)
    assert len(module.seen) == 4
    assert module.seen[:2] == module.seen[2:]


# -- the report


def test_report(tmp_path, tokenizer, capsys):
    rows = [
        {"chosen": f"\n\nHuman: q{n}\n\nAssistant: a", "rejected": f"\n\nHuman: q{n}\n\nAssistant: b"}
        for n in range(50)
    ]
    rows[3]["rejected"] = rows[3]["chosen"]
    rows[4]["rejected"] += " long" * 50
    rows[5] = {side: f"\n\nHuman: {'word ' * 300}\n\nAssistant: {side}" for side in ("chosen", "rejected")}
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    module = Toy(tokenizer, PreferenceBatch)
    datamodule = data(file, batch_size=4, max_prompt_tokens=40, max_completion_tokens=12)
    trainer = fit(module, datamodule, accumulate_grad_batches=3)
    report = datamodule.report
    assert (report.rows_read, report.rows_used, report.rejected) == (50, 49, {"chosen equals rejected": 1})
    assert (report.prompts_cut, report.answers_cut) == (1, 1)
    assert report.train + report.val + report.test == 49
    assert report.effective_batch == 12
    trainer.test(module, datamodule=datamodule, verbose=False)
    printed = capsys.readouterr().out
    assert printed.count("rows read") == 1  # once, though setup ran twice
    for line in report.lines():
        assert line in printed
    place = f"1 left out: chosen equals rejected; first {file}:4"
    for part in ("50 rows read, 49 used", place, "effective batch 12 = 4 per step × 3"):
        assert part in str(report)

    dropped = data(file, batch_size=4, max_prompt_tokens=40, max_completion_tokens=12, drop_long_answers=True)
    fit(Toy(tokenizer, PreferenceBatch), dropped)
    assert dropped.report.rejected["an answer is longer than max_completion_tokens"] == 1
    assert dropped.report.rows_used == 48


def test_real_rows(real_data, tokenizer):
    module = Toy(tokenizer, PreferenceBatch)
    datamodule = data(real_data / "hh_rlhf" / "helpful-base.test.jsonl.gz", max_rows=300)
    fit(module, datamodule, max_steps=2)
    assert datamodule.report.rows_read == 300
    assert datamodule.report.prompts_cut > 0
    assert sum(datamodule.report.rejected.values()) + datamodule.report.rows_used == 300


def test_a_small_training_split_makes_one_smaller_batch(pairs_file, tokenizer):
    module = Toy(tokenizer)
    datamodule = data(pairs_file, max_rows=5, val_fraction=0.0, test_fraction=0.0)
    fit(module, datamodule, max_epochs=2)
    assert [len(batch) for batch in module.seen] == [5, 5]
    assert datamodule.report.effective_batch == 5


# -- the default data, and a tokenizer other than the first


@dataclass(frozen=True)
class Counting(Adapter):
    def rows(self, path, split):
        yield from ((f"{path}:{n}", {"n": n}) for n in range(20))

    def example(self, row, where):
        return replace(
            HHRLHF().example(
                {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}, where
            ),
            key=row["n"],
        )


def test_any_adapter(tokenizer):
    module = Toy(tokenizer)
    fit(module, RLHFDataModule("anything", adapter=Counting(), batch_size=4, val_fraction=0.0, test_fraction=0.0))
    assert sorted(chain(*module.seen)) == list(range(20))


def test_tiny_is_the_default(tokenizer):
    pytest.importorskip("qstar_pl.data.adapters.tiny_world")
    datamodule = RLHFDataModule(max_rows=64)
    module = Toy(tokenizer, PreferenceBatch)
    fit(module, datamodule, max_steps=2)
    assert "TinyWorld" in datamodule.report.source
    assert datamodule.report.rows_read == 64


def test_another_model_brings_its_own_tokenizer(pairs_file, tokenizer, chat_tokenizer):
    datamodule = data(pairs_file)
    fit(Toy(tokenizer), datamodule, max_steps=1)
    plain = datamodule.predict_dataloader().rows[0].prompt.tolist()
    fit(Toy(chat_tokenizer), datamodule, max_steps=1)
    chat = datamodule.predict_dataloader().rows[0].prompt.tolist()
    assert tokenizer.decode(plain).startswith("\n\nHuman:")
    assert tokenizer.decode(chat).startswith("<|im_start|>")


def test_from_a_command_line():
    parser = ArgumentParser()
    parser.add_argument("--data", type=RLHFDataModule)
    arguments = ["--data=RLHFDataModule", "--data.path=x.jsonl", "--data.adapter=PromptResponse"]
    parsed = parser.parse_args([*arguments, "--data.adapter.prompt_field=q", "--data.batch_size=3"])
    datamodule = parser.instantiate(parsed).data
    assert datamodule.adapter == PromptResponse(prompt_field="q")
    assert (datamodule.path, datamodule.batch_size) == ("x.jsonl", 3)


# -- mixtures, subsets, caches

WEIGHTS = {"one": 1.0, "two": 3.0}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Parts of 40 and 12 rows, weighted 1 to 3."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, count in (("one", 40), ("two", 12)):
        rows = [{"prompt": f"{name} {number}", "completion": "a"} for number in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Mixture(
        tuple(Part(PromptResponse(), str(folder / f"{name}.jsonl"), weight=w, name=name) for name, w in WEIGHTS.items())
    )


def mixed_data(mixed, **options):
    return RLHFDataModule(adapter=mixed, **({"batch_size": 4, "val_fraction": 0.0, "test_fraction": 0.0} | options))


def parts_of(seen, datamodule):
    part = {row.example.key: row.example.metadata["part"] for row in datamodule.train_dataloader()._loader.dataset}
    return Counter(part[key] for key in chain(*seen))


@pytest.mark.parametrize("batch_type", [PromptBatch, DemonstrationBatch])
def test_a_mixture_is_seen_in_its_shares(mixed, tokenizer, batch_type):
    module = Toy(tokenizer, batch_type)
    datamodule = mixed_data(mixed)
    fit(module, datamodule, max_epochs=3)
    assert len(module.seen) == 3 * 13
    assert parts_of(module.seen, datamodule) == {"one": 3 * 13, "two": 3 * 39}
    # 39 draws without repetition from the 40; the 12 gone through 9 times and 9 of them once more.
    assert Counter(Counter(chain(*module.seen)).values()) == {1: 39, 9: 3, 10: 9}
    report = datamodule.report
    assert [(part.rows_read, part.rows_used, part.epoch_rows) for part in report.parts] == [(40, 40, 13), (12, 12, 39)]
    assert (
        "part two: 12 rows read, 12 used, 12 to train on; 75.0% of an epoch, in which each is seen 3.25 times"
        in str(report)
    )
    assert report.source == "mixture of 2 parts"


def test_a_mixture_resumes_exactly(mixed, tokenizer, tmp_path):
    saving = ModelCheckpoint(
        tmp_path, "step{step}", auto_insert_metric_name=False, every_n_train_steps=1, save_top_k=-1
    )
    options = {"max_epochs": -1, "max_steps": 30}
    whole = Toy(tokenizer)
    fit(whole, mixed_data(mixed), enable_checkpointing=True, callbacks=[saving], **options)
    for done, workers in ((1, 0), (12, 0), (13, 0), (14, 2), (27, 0)):
        rest = Toy(tokenizer)
        datamodule = mixed_data(mixed, num_workers=workers)
        fit(rest, datamodule, ckpt_path=tmp_path / f"step{done}.ckpt", **options)
        assert rest.seen == whole.seen[done:]
    changed = Mixture(tuple(replace(part, weight=1.0) for part in mixed.parts))
    with pytest.warns(UserWarning, match="differ from the checkpoint's"):
        fit(Toy(tokenizer), mixed_data(changed), ckpt_path=tmp_path / "step3.ckpt", **options)


def test_validation_holds_every_row_of_a_mixture_once(mixed, tokenizer):
    module = Toy(tokenizer)
    datamodule = mixed_data(mixed, val_fraction=0.4)
    fit(module, datamodule, limit_val_batches=1.0, num_sanity_val_steps=0)
    val = module.evaluated[PromptBatch]
    assert len(val) == len(set(val)) == datamodule.report.val
    assert not set(val) & set(chain(*module.seen))


def test_a_part_that_is_held_out_is_validated_and_never_trained_on(mixed, tokenizer):
    one, two = mixed.parts
    module = Toy(tokenizer)
    datamodule = mixed_data(
        Mixture((one, replace(two, weight=None, held_out=True))), val_fraction=0.2, test_fraction=0.1, val_limit=5
    )
    fit(module, datamodule, limit_val_batches=1.0, num_sanity_val_steps=0)
    part = {row.example.key: row.example.metadata["part"] for row in datamodule._prepared.rows}
    assert {part[key] for key in chain(*module.seen)} == {"one"}
    # Of the 12 rows, and of a fifth of the 40, the first five each.
    assert Counter(part[key] for key in module.evaluated[PromptBatch]) == {"one": 5, "two": 5}
    reports = datamodule.report.parts
    train = datamodule.report.train
    assert [(one.train_items, one.epoch_rows, one.held_out) for one in reports] == [(train, train, False), (0, 0, True)]
    assert "part two: 12 rows read, 12 used, all held out" in str(datamodule.report)


def test_rows_that_are_held_out_do_not_count_as_something_to_train_on(tmp_path, tokenizer):
    prompts, answers = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"{n}", "completion": None}) + "\n" for n in range(9)))
    answers.write_text("".join(json.dumps({"prompt": f"a{n}", "completion": "c"}) + "\n" for n in range(9)))
    parts = (Part(PromptResponse(), str(prompts)), Part(PromptResponse(), str(answers), held_out=True))
    datamodule = mixed_data(Mixture(parts), val_fraction=0.5)
    with pytest.raises(UserError, match=r"Toy must have rows with an answer \(chosen\); none of the 9 rows"):
        fit(Toy(tokenizer, DemonstrationBatch), datamodule)


def test_where_all_prompts_are_held_out_a_line_names_the_part(mixed, tokenizer):
    one = replace(mixed.parts[0], weight=None)
    parts = (one, replace(one, name="same", held_out=True))
    with pytest.raises(UserError, match="must have a prompt to train on that no part holds out, got none beside same"):
        fit(Toy(tokenizer), mixed_data(Mixture(parts), val_fraction=0.5))


def test_a_part_that_is_held_out_must_have_a_row(mixed, tokenizer, tmp_path):
    (empty := tmp_path / "empty.jsonl").touch()
    parts = (replace(mixed.parts[0], weight=None), Part(PromptResponse(), str(empty), name="two", held_out=True))
    with pytest.raises(UserError, match="parts must hold a usable row if they are held out, got none of two"):
        fit(Toy(tokenizer), mixed_data(Mixture(parts), val_fraction=0.5))


def test_a_mixture_without_weights_is_all_rows_once(mixed, tokenizer):
    module = Toy(tokenizer)
    plain = Mixture(tuple(replace(part, weight=None) for part in mixed.parts))
    fit(module, mixed_data(plain))
    assert sorted(Counter(chain(*module.seen)).values()) == [1] * 52


def batches(datamodule):
    return [
        tensor.tolist()
        for batch in datamodule.train_dataloader()
        for tensor in (batch.prompts.prompt_ids, batch.prompts.prompt_mask, batch.chosen_ids, batch.rejected_ids)
    ]


def test_cached_tokens_make_the_same_batches(pairs_file, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    seen = []
    for options in ({"cache": False}, {"cache_dir": str(tmp_path / "a")}, {"cache_dir": str(tmp_path / "a")}):
        datamodule = data(pairs_file, tokenizer=str(tmp_path / "tokenizer"), **options)
        datamodule.setup()
        seen.append((batches(datamodule), datamodule.report.cache))
    assert seen[0][0] == seen[1][0] == seen[2][0]
    (file,) = (tmp_path / "a").glob("*.tokens.arrow")
    assert [note for _, note in seen] == [None, f"tokens cached in {file}", f"tokens from {file}"]
    assert f"tokens from {file}" in str(datamodule.report)


def test_subsets_and_filters_are_counted(pairs_file, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    used = []
    for size in (20, 60):
        datamodule = data(
            pairs_file,
            tokenizer=str(tmp_path / "tokenizer"),
            filters=[LengthFilter(min_prompt=len("question 10"))],
            subset_size=size,
        )
        datamodule.setup()
        assert datamodule.report.rejected == {
            "the prompt has less than 11 characters": 10,
            f"outside the subset of {size} rows": 190 - size,
        }
        used.append({row.example.key for row in datamodule._ready.rows})
    assert used[0] < used[1]


def test_system_prompt_and_rendering(pairs_file, tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    datamodule = data(
        pairs_file,
        tokenizer=str(tmp_path / "tokenizer"),
        system_prompt="Be kind.",
        rendering=PlainRendering(),
    )
    datamodule.setup()
    row = datamodule._ready.rows[0]
    assert tokenizer.decode(row.prompt.tolist()) == "Be kind.\n\nquestion 0"
    assert tokenizer.decode(row.chosen.tolist()) == " good 0<eos>"


# -- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"eval_batch_size": -1}, "eval_batch_size must be at least 1, got -1"),
        ({"val_limit": 0}, "val_limit must be at least 1, got 0"),
        ({"max_rows": 0}, "max_rows must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"val_fraction": 1.5}, r"val_fraction must lie in \[0, 1\], got 1.5"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        RLHFDataModule(**options)


def test_user_errors(pairs_file, tokenizer, tmp_path):
    with pytest.raises(UserError, match="path must be a file, a folder or a hub id"):
        fit(Toy(tokenizer), data(tmp_path / "nothing.jsonl"))
    with pytest.raises(UserError, match=r"val_fraction \+ test_fraction must leave a row to train on, got 0.0 \+ 1.0"):
        fit(Toy(tokenizer), data(pairs_file, val_fraction=0.0, test_fraction=1.0))
    with pytest.raises(UserError, match="val_fraction must leave a row in the val split, got 1e-09 of 200 rows"):
        fit(Toy(tokenizer), data(pairs_file, val_fraction=1e-9), limit_val_batches=1)
    with pytest.raises(UserError, match=r"test_fraction must leave a row in the test split, got 0.0 of 200 rows"):
        pl.Trainer(**QUIET).test(Toy(tokenizer), datamodule=data(pairs_file, test_fraction=0.0), verbose=False)
    with pytest.raises(UserError, match=r"val_fraction must leave a row in the val split, got 0.0"):
        pl.Trainer(**QUIET).validate(Toy(tokenizer), datamodule=data(pairs_file, val_fraction=0.0), verbose=False)
    with pytest.raises(UserError, match=r"tokenizer must be an existing folder, got .*nothing"):
        data(pairs_file, tokenizer=str(tmp_path / "nothing")).setup()
    with pytest.raises(UserError, match="tokenizer must be given where no model"):
        data(pairs_file).setup()
    with pytest.raises(UserError, match=r"model must train on one of .*'PreferenceBatch'.*, got .*Example"):
        fit(Toy(tokenizer, Example), data(pairs_file))
    equal = dict.fromkeys(("chosen", "rejected"), "\n\nHuman: q\n\nAssistant: a")
    (tmp_path / "x.jsonl").write_text(json.dumps(equal) + "\n")
    with pytest.raises(UserError, match=r"path must hold a usable row, got 1 rows in .*\(1: chosen equals rejected\)"):
        fit(Toy(tokenizer), data(tmp_path / "x.jsonl"))
    (tmp_path / "x.jsonl").write_text("")
    with pytest.raises(UserError, match=r"path must hold a usable row, got 0 rows in .*\(empty\)"):
        fit(Toy(tokenizer), data(tmp_path / "x.jsonl"))


def test_no_validation_while_training_without_a_split(pairs_file, tokenizer):
    module = Toy(tokenizer)
    fit(module, data(pairs_file, val_fraction=0.0), limit_val_batches=1.0)
    assert module.evaluated == {}
    assert module.seen


# -- what is detected, and what is left out


def test_detection_is_the_default_and_pairs_win(tmp_path, tokenizer, capsys):
    rows = []
    for number in range(30):
        prompt = {"role": "user", "content": f"{number}+1?"}
        good, bad = ([prompt, {"role": "assistant", "content": str(number + extra)}] for extra in (1, 2))
        rows.append({"prompt": f"{number}+1?", "chosen": good, "rejected": bad, "messages": good})
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    datamodule = data(tmp_path / "x.jsonl")
    fit(Toy(tokenizer, PreferenceBatch), datamodule)
    assert datamodule.report.kind == "PreferenceBatch"
    assert datamodule.report.source.endswith("x.jsonl (Messages)")
    assert capsys.readouterr().out.count("Auto: ") == 1


@pytest.mark.parametrize("bad", ["nonsense", '{"prompt": "half \\ud83d", "completion": "x"}', '{"prompt": null}', "{}"])
def test_bad_rows_are_counted_and_training_goes_on(tmp_path, tokenizer, bad):
    lines = [json.dumps({"prompt": f"q{number}", "completion": f"a{number}"}) for number in range(30)]
    (tmp_path / "x.jsonl").write_text("\n".join([*lines[:7], bad, *lines[7:]]))
    datamodule = data(tmp_path / "x.jsonl")
    fit(Toy(tokenizer), datamodule)
    assert (datamodule.report.rows_read, datamodule.report.rows_used) == (31, 30)
    assert sum(datamodule.report.rejected.values()) == 1
    assert "  3.2% of all rows are left out" in datamodule.report.lines()
    with pytest.raises(
        UserError, match=r"max_left_out must be at least 0.0323, the share of .* got 0.03; 1 of 31 rows"
    ):
        fit(Toy(tokenizer), data(tmp_path / "x.jsonl", max_left_out=0.03))
    with pytest.raises(UserError, match=r"max_left_out must lie in \[0, 1\], got 3"):
        data(tmp_path / "x.jsonl", max_left_out=3)


def test_filters_do_not_count_as_left_out(pairs_file, tokenizer):
    datamodule = data(pairs_file, subset_size=20, max_left_out=0.0)
    fit(Toy(tokenizer), datamodule)
    assert datamodule.report.rows_used == 20
