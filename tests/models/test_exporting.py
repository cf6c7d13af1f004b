from pathlib import Path
from typing import Any

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
)

from qstar_pl.models import FromConfig, LanguageModel, Pretrained, RewardModel
from qstar_pl.models.exporting import write_classifier, write_language_model
from qstar_pl.models.tokenizers import ensure_pad, vocabulary_difference

TEXTS = ["w3", "w4 w5 w6 w7", "w8 w9"]


def tokenizer_with(pad: str | None, unk: str | None) -> PreTrainedTokenizerBase:
    tokenizer = ensure_pad(word_tokenizer(pad=pad, unk=unk))
    tokenizer.padding_side = "left"
    return tokenizer


@pytest.mark.parametrize(
    ("family", "vocab", "pad", "unk", "expected"),
    [
        ("llama", 11, "<pad>", "<unk>", 0),
        ("llama", 11, None, None, 1),  # appended, without a row: EOS pads instead
        ("gpt2", 11, None, None, 1),
        ("llama", 16, None, None, 11),  # appended, and the embedding has a spare row for it
        ("gpt_neox", 11, None, "<unk>", 2),
    ],
)
def test_a_plain_batched_forward_and_generate_of_an_exported_language_model(
    family: str, vocab: int, pad: str | None, unk: str | None, expected: int, tmp_path: Path
) -> None:
    model, tokenizer = random_model(family, vocab=vocab).float(), tokenizer_with(pad, unk)
    model.generation_config.eos_token_id = [1, 5]
    write_language_model(model, tokenizer, tmp_path)
    loaded, own = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_input_embeddings().num_embeddings == vocab
    assert (own.pad_token_id, loaded.generation_config.pad_token_id) == (expected, expected)
    assert max(own.get_vocab().values()) < vocab
    batch = own(TEXTS, padding=True, return_tensors="pt")
    together = loaded(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, -1]
    assert together.isfinite().all()
    prompts = prompt_batch([own(text)["input_ids"] for text in TEXTS])
    mine = LanguageModel(model, tokenizer)
    # Positions are what generate makes them of the mask; a bare forward leaves them to the model.
    positions = (batch["attention_mask"].cumsum(-1) - 1).clamp_min(0)
    positioned = loaded(**batch, position_ids=positions).logits[:, -1]
    torch.testing.assert_close(positioned[:, : mine.vocab_size], mine.start(prompts, 1).logits, rtol=1e-4, atol=1e-4)
    assert loaded.generation_config.eos_token_id == [1, 5]
    written = loaded.generate(**batch, max_new_tokens=40, do_sample=False)
    for row in written[:, batch["input_ids"].shape[1] :].tolist():
        ends = [place for place, token in enumerate(row) if token in (1, 5)]
        assert not ends or set(row[ends[0] + 1 :]) <= {expected}
    # Read again here, it is the same model behind the same vocabulary.
    again = Pretrained(str(tmp_path))
    assert vocabulary_difference(tokenizer, again.tokenizer()) is None
    assert again.capabilities().end_ids == (1, 5)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(("pad", "unk", "pad_id", "rows"), [("<pad>", "<unk>", 0, 11), (None, None, 11, 12)])
def test_a_plain_batched_forward_of_an_exported_reward_model(
    pad: str | None, unk: str | None, pad_id: int, rows: int, family: str, tmp_path: Path
) -> None:
    tokenizer = tokenizer_with(pad, unk)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small = {"vocab_size": 11, "initializer_range": 0.5, **sizes}
    if family == "llama":
        small["intermediate_size"] = 16
    source = FromConfig(family, small, tokenizer_name=str(tmp_path / "tokenizer"))
    model = source.load_reward()
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in TEXTS]  # EOS is part of an answer
    batch = prompt_batch(ids)
    with torch.no_grad():
        mine = RewardModel(model).score(batch.prompt_ids, batch.prompt_mask)
    write_classifier(model, tokenizer, tmp_path / "out")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    own = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert loaded.get_input_embeddings().num_embeddings == rows
    assert loaded.config.pad_token_id == own.pad_token_id == pad_id
    padded = own.pad({"input_ids": ids}, return_tensors="pt")
    theirs = loaded(**padded).logits.squeeze(-1)
    torch.testing.assert_close(theirs.detach(), mine, rtol=1e-4, atol=1e-5)


def test_generation_defaults_that_transformers_reads_but_does_not_write(tmp_path: Path) -> None:
    """Llama-2's own folder has a temperature and a top_p beside greedy decoding."""
    model = random_model("llama").float()
    model.generation_config = GenerationConfig(temperature=0.6, top_p=0.9, do_sample=False, eos_token_id=1)
    write_language_model(model, word_tokenizer(), tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path).top_p == 0.9
