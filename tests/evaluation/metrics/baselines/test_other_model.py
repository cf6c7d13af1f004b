from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from reference.chat_tokenizers import CHATML, make_tokenizer
from reference.tiny_methods import TinyData, ending_model
from transformers import GPT2Config, GPT2LMHeadModel

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges import LengthJudge
from qstar_pl.evaluation.metrics import Facts, OtherModel, Start, WinRate, check_needs
from qstar_pl.methods import SFT
from qstar_pl.models import Pretrained
from qstar_pl.samplers import PolicySampler

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def validated(baseline, **options) -> tuple[SFT, dict[str, float]]:
    seed_everything(0, verbose=False)
    module = SFT(
        policy=ending_model(0),
        reward=None,
        gold=None,
        metrics=[WinRate(LengthJudge(), baseline, **options)],
        evaluation_sampler=PolicySampler(max_new_tokens=16),
    )
    return module, Trainer(accelerator="cpu", **QUIET).validate(module, TinyData(), verbose=False)[0]


def test_the_same_model_says_the_same() -> None:
    for baseline in (Start(), OtherModel(ending_model(0))):
        _, found = validated(baseline, samples=2)
        assert found["val/win_rate/ties"] == 1


def test_another_model_says_something_else() -> None:
    module, found = validated(OtherModel(ending_model(1)))
    assert found["val/win_rate/ties"] < 1
    assert found["val/win_rate/no_verdict"] == 0
    saved = module.state_dict()
    assert saved
    assert not any("metrics" in name or "reference" in name for name in saved)


def test_a_model_with_a_tokenizer_of_its_own_reads_its_own_template(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(chat_template=CHATML)
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=512, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    module, found = validated(OtherModel(Pretrained(str(tmp_path))))
    assert found["val/win_rate/no_verdict"] == 0
    (drawn,) = {len(texts) for texts in module.redrawing._kept.values()}
    assert drawn == 8
    assert any(text for texts in module.redrawing._kept.values() for text in texts)


def test_what_is_drawn_once_is_kept() -> None:
    module, first = validated(Start())
    kept = dict(module.redrawing._kept)
    assert kept
    with torch.no_grad():
        module.reference.transformer.ln_f.bias.zero_()  # what it would say now does not matter
    second = Trainer(accelerator="cpu", **QUIET).validate(module, TinyData(), verbose=False)[0]
    assert second == first
    assert module.redrawing._kept == kept


def test_texts_of_a_file_have_no_other_model() -> None:
    with pytest.raises(UserError, match="a policy to draw as, got texts of a file; StoredAnswers compares with a file"):
        check_needs([WinRate(LengthJudge(), OtherModel(ending_model(0)))], Facts(tokens=False))
