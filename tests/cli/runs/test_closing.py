"""A run that is killed after its last step, and one that is complete, through the real command."""

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL

from qstar_pl.methods import RLHFModule

Call = Callable[..., tuple[int, str, str]]
FIT = (
    "fit",
    *(word for word in SMALL if "log_every_n" not in word),
    "--model=SFT",
    "--model.evaluation_sampler.max_new_tokens=3",
    "--trainer.log_every_n_steps=3",
)
RUN = Path("runs/sft/version_0")
LAST = RUN / "checkpoints" / "last.ckpt"
EVERY_TWO = ("--trainer.val_check_interval=2", "--trainer.check_val_every_n_epoch=null")
EPOCHS = ("--trainer.limit_train_batches=4", "--trainer.max_epochs=1")
BEST = (
    "--trainer.callbacks+=ModelCheckpoint",
    "--trainer.callbacks.monitor=val/perplexity",
    "--trainer.callbacks.save_last=true",
)


def rows() -> list[dict[str, str]]:
    with (RUN / "metrics.csv").open(newline="") as file:
        clocks = ("time/", "memory/", "tokens/per_s", "samples/per_s")
        return [{k: v for k, v in row.items() if not k.startswith(clocks)} for row in csv.DictReader(file)]


def differences(whole: list[dict[str, str]]) -> list[tuple[int, str, str | None, str]]:
    """Return (row, column, found, expected)."""
    found = rows()
    pairs = enumerate(zip(found, whole, strict=False))
    cells = [(i, key, mine.get(key), other[key]) for i, (mine, other) in pairs for key in other]
    return [cell for cell in cells if cell[2] != cell[3]] + [(len(found), "", None, "")] * (len(found) != len(whole))


def state() -> dict[str, torch.Tensor]:
    contents = torch.load(LAST, weights_only=True)
    moments = contents["optimizer_states"][0]["state"]
    own = {f"{name}.{key}": torch.as_tensor(v) for name, values in moments.items() for key, v in values.items()}
    return {**contents["state_dict"], **own}


def digests() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in RUN.rglob("*") if path.is_file()}


def killed_in_the_validation_after(step: int, monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> None:
    measured = RLHFModule.on_validation_epoch_end

    def cut(module: RLHFModule) -> None:
        if module.global_step == step and not module.trainer.sanity_checking:
            raise RuntimeError("power cut")
        measured(module)

    with monkeypatch.context() as patch:
        patch.setattr(RLHFModule, "on_validation_epoch_end", cut)
        with pytest.raises(RuntimeError, match="power cut"):
            run()


@pytest.mark.parametrize(
    "words",
    [
        ("--trainer.max_steps=4",),
        ("--trainer.max_steps=4", *EVERY_TWO),
        ("--trainer.max_steps=4", *EVERY_TWO, *BEST),
        EPOCHS,
    ],
    ids=["closing validation", "one that was due", "with the best kept", "an epoch's"],
)
def test_a_kill_in_the_last_validation_makes_it_up(
    qstar: Call, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qstar(*FIT, *words)[0] == 0
    whole, weights, files = rows(), state(), {path.name for path in RUN.rglob("*")}
    assert whole[-1]["step"] == "4" or any(row["val/perplexity"] for row in whole[-2:])
    RUN.rename("runs/whole")
    killed_in_the_validation_after(4, monkeypatch, lambda: qstar(*FIT, *words))
    assert torch.load(LAST, weights_only=True)["global_step"] == 4
    assert len(rows()) < len(whole)

    code, out, err = qstar(*FIT, *words, "--ckpt_path=auto")
    assert code == 0, err
    assert differences(whole) == []
    assert state().keys() == weights.keys()
    assert all(torch.equal(state()[key], value) for key, value in weights.items())
    assert {path.name for path in RUN.rglob("*")} - {"config.1.yaml"} == files

    before = digests()
    for again in ("--ckpt_path=last", "--ckpt_path=auto"):
        code, out, err = qstar(*FIT, *words, again)
        assert code == 0, err
        assert "the run has taken all of its steps before, 4; nothing was done" in out
        assert digests() == before


def test_the_best_may_be_the_last(qstar: Call) -> None:
    """What a writer saves after a validation is saved also after the last step, which is saved before."""
    words = ("--trainer.max_steps=2", *EVERY_TWO, *BEST, "--trainer.callbacks.filename=best")
    code, out, err = qstar(*FIT, *words)
    assert code == 0, err
    assert "best: runs/sft/version_0/checkpoints/best.ckpt (val/perplexity = " in out
    assert torch.load(RUN / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == 2


def test_a_finished_run_goes_on_and_can_be_killed_again(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.save_last=true")
    words = (*words, "--trainer.callbacks.every_n_train_steps=2", *EVERY_TWO)
    assert qstar(*FIT, *words, "--trainer.max_steps=6")[0] == 0
    whole, files = rows(), {path.name for path in LAST.parent.iterdir()}
    RUN.rename("runs/whole")
    assert qstar(*FIT, *words, "--trainer.max_steps=2")[0] == 0
    killed_in_the_validation_after(
        4, monkeypatch, lambda: qstar(*FIT, *words, "--trainer.max_steps=6", "--ckpt_path=last")
    )
    assert not (LAST.parent / "finished.json").exists()
    # What a kill between the writing and the removing of checkpoints leaves.
    stale = LAST.parent / "epoch=0-step=2.ckpt"
    stale.write_bytes(b"another's")
    contents = torch.load(LAST.parent / "epoch=0-step=4.ckpt", weights_only=True)
    (writer,) = [key for key in contents["callbacks"] if "ModelCheckpoint" in key]
    for name, step in (("epoch=0-step=3.ckpt", 3), ("epoch=0-step=1.ckpt", 1)):
        own = {**contents["callbacks"][writer], "best_model_path": str(LAST.parent / name)}
        torch.save(
            {**contents, "global_step": step, "callbacks": {**contents["callbacks"], writer: own}}, LAST.parent / name
        )
    (LAST.parent / ".last.ckpt.unfinished").write_bytes(b"half")
    kept = LAST.parent / "mine.ckpt"
    kept.write_bytes(LAST.read_bytes())
    assert qstar(*FIT, *words, "--trainer.max_steps=6", "--ckpt_path=last")[0] == 0
    assert differences(whole) == []
    assert {one.name for one in LAST.parent.glob("*.ckpt")} == {
        *(name for name in files if name.endswith(".ckpt")),
        "mine.ckpt",
        "epoch=0-step=2.ckpt",
    }, "what this run did not write stays"
    assert not list(LAST.parent.glob(".*"))
