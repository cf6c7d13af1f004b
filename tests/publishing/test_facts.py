"""What an export says of a run, through the real commands."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from small_run import SMALL

from qstar_pl.models import FromCheckpoint
from qstar_pl.publishing.facts import Facts

Call = Callable[..., tuple[int, str, str]]


def test_the_card_of_a_run_that_went_on(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path.cwd().parent)
    rows = [{"prompt": f"What is {n}?", "response": f"The number {n}."} for n in range(40)]
    data = Path("rows.jsonl").absolute()
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    without = ("--model.reward=null", "--model.gold=null", "--model.evaluation_sampler.max_new_tokens=2")
    lora = ("--model.policy=LoRA", "--model.policy.base=Pretrained", "--model.policy.base.name=tiny/policy")
    words = ("fit", *SMALL, "--model=SFT", *without, *lora, f"--data.path={data}", "--data.max_rows=null")
    assert qstar(*words, "--trainer.max_steps=1")[0] == 0
    last = "runs/sft/version_0/checkpoints/last.ckpt"
    code, _, err = qstar(*words, "--trainer.max_steps=2", "--ckpt_path=last")
    assert code == 0, err

    facts = Facts.of(Path(last), FromCheckpoint(last))
    assert (facts.method, facts.base, facts.on_hub, facts.step, facts.seed) == ("SFT", "tiny/policy", False, 2, 0)
    assert facts.lineage == ("LoRA(rank=16, alpha=32)",)
    assert facts.fingerprints == {str(data): hashlib.sha256(data.read_bytes()).hexdigest()}
    assert facts.training_rows == 29
    assert facts.measured_step == 2
    assert {"val/perplexity", "val/completion_length"} <= set(facts.metrics)
    assert [line.split(" --ckpt_path")[0].split("max_steps=")[1] for line in facts.commands] == ["1", "2"]

    code, out, err = qstar("export", f"--ckpt_path={last}", "--output=exported")
    assert code == 0, err
    assert "AutoModelForCausalLM.from_pretrained('exported')" in out
    card = ModelCard.load("exported/README.md")
    assert card.data.library_name == "transformers"
    assert card.data.base_model is None
    assert str(Path.cwd().parent) not in card.content
    assert f"--data.path=~/{Path.cwd().name}/rows.jsonl" in card.content
    assert qstar("export", f"--ckpt_path={last}", "--output=adapter", "--adapter_only")[0] == 0
    assert ModelCard.load("adapter/README.md").data.library_name == "peft"

    shutil.copy(last, "alone.ckpt")  # away from its folder, and from its data
    data.unlink()
    alone = Facts.of(Path("alone.ckpt"), FromCheckpoint("alone.ckpt"))
    assert (alone.metrics, alone.measured_step, alone.fingerprints) == ({}, None, {})
    assert alone.commands == facts.commands


def test_nothing_is_exported_where_a_push_could_not_follow(qstar: Call) -> None:
    """HF_HUB_OFFLINE is set in all tests."""
    for words, message in (
        (("--push_to_hub=me/model",), "push_to_hub must be left out while HF_HUB_OFFLINE is set, got me/model"),
        (("--push_to_hub=model",), "push_to_hub must be USER/NAME, got model"),
        (("--private",), "private must be left out without push_to_hub, got true"),
    ):
        code, _, err = qstar("export", "--ckpt_path=nowhere.ckpt", "--output=out", *words)
        assert (code, err) == (2, f"error: {message}\n")
    assert not Path("out").exists()
