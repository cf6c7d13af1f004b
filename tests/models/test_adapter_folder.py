"""Adapters without their base, as the real command writes and peft reads them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from qstar_pl.models import FromCheckpoint
from qstar_pl.models.tiny import resolve

Call = Callable[..., tuple[int, str, str]]
ONE_STEP = (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
IDS = torch.tensor([[5, 6, 7, 8, 9]])
LORA = ("--model.policy=LoRA", "--model.policy.base=Pretrained", "--model.policy.base.name=tiny/policy")
POLICY = resolve("tiny/policy")
FAST = ("--model.optimizer=AdamW", "--model.optimizer.lr=0.01")
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def train(qstar: Call, method: str, *words: str) -> str:
    code, _, err = qstar("fit", *ONE_STEP, f"--model={method}", f"--name={method}", *words)
    assert code == 0, err
    return f"runs/{method}/version_0/checkpoints/last.ckpt"


def test_adapters_alone_and_merged(qstar: Call) -> None:
    peft = pytest.importorskip("peft")
    checkpoint = train(qstar, "SFT", *LORA, "--model.policy.rank=3", *FAST)
    code, out, err = qstar("export", f"--ckpt_path={checkpoint}", "--output=adapter", "--adapter_only")
    assert code == 0, err
    assert "  load it:  PeftModel.from_pretrained(base, 'adapter')" in out
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in Path("adapter").iterdir()}
    assert qstar("export", f"--ckpt_path={checkpoint}", "--output=merged")[0] == 0
    base = AutoModelForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
    trained = FromCheckpoint(checkpoint).load()
    with torch.no_grad():
        wanted, plain = trained(IDS).logits, base(IDS).logits
        assert (wanted - plain).abs().max() > 1e-3
        merged = AutoModelForCausalLM.from_pretrained("merged")(IDS).logits
        torch.testing.assert_close(merged, wanted, **CLOSE)
        adapted = peft.PeftModel.from_pretrained(base, "adapter")
        torch.testing.assert_close(adapted(IDS).logits, wanted, **CLOSE)
        again = AutoModelForCausalLM.from_pretrained("adapter", dtype=torch.float32)
        torch.testing.assert_close(again(IDS).logits, wanted, **CLOSE)


def test_an_adapted_reward_model_is_exported_with_its_head(qstar: Call) -> None:
    peft = pytest.importorskip("peft")
    words = [word.replace("model.policy", "model.model") for word in LORA]
    checkpoint = train(qstar, "RewardModeling", *words, *FAST)
    code, _, err = qstar("export", f"--ckpt_path={checkpoint}", "--output=adapter", "--adapter_only")
    assert code == 0, err
    base = AutoModelForSequenceClassification.from_pretrained(POLICY, num_labels=1, pad_token_id=0, dtype=torch.float32)
    with torch.no_grad():
        wanted = FromCheckpoint(checkpoint).load_reward()(IDS).logits
        adapted = peft.PeftModel.from_pretrained(base, "adapter")
        torch.testing.assert_close(adapted(IDS).logits, wanted, **CLOSE)


def test_what_adapters_alone_cannot_be_written_of(qstar: Call) -> None:
    full = train(qstar, "SFT")
    code, _, err = qstar("export", f"--ckpt_path={full}", "--output=a", "--adapter_only")
    assert (code, "adapter_only must be given for a model that was trained with LoRA" in err) == (2, True)
    code, _, err = qstar("export", f"--ckpt_path={full}", "--output=a", "--base=b")
    assert (code, "base must be left out without adapter_only" in err) == (2, True)
    onto = ("--model.policy=LoRA", "--model.policy.base=FromCheckpoint", f"--model.policy.base.path={full}")
    second = train(qstar, "DPO", *onto)
    code, _, err = qstar("export", f"--ckpt_path={second}", "--output=a", "--adapter_only")
    assert (code, "base must name the folder" in err) == (2, True)
    assert qstar("export", f"--ckpt_path={full}", "--output=base")[0] == 0
    code, _, err = qstar("export", f"--ckpt_path={second}", "--output=a", "--adapter_only", "--base=base")
    assert code == 0, err
    with torch.no_grad():
        wanted = FromCheckpoint(second).load()(IDS).logits
        torch.testing.assert_close(
            AutoModelForCausalLM.from_pretrained("a", dtype=torch.float32)(IDS).logits, wanted, **CLOSE
        )
