"""Many architectures, each built small: cached, batched and padded, they say what each sequence alone gets."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from reference.families import FAMILIES, examine, padded_prompts, small_model, table, word_tokenizer
from reference.sessions import walk

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel

NOT_CAUSAL = {"bert", "electra", "roformer", "xlnet"}
NO_DECODER = {"t5", "bart", "mbart", "pegasus", "prophetnet"}
REREAD = {"openai-gpt", "rwkv", "recurrent_gemma", "minimax", "roberta"}
RIGHT = {"rwkv", "recurrent_gemma", "roberta"}
FAST = {"gpt2", "opt", "bloom", "llama", "gemma2", "mamba", "rwkv", "recurrent_gemma", "jamba", "roberta", "bert", "t5"}

# These small ones have windows that the prompts and a block fill.
WINDOWS = {
    *("mistral", "ministral", "mixtral", "gemma2", "gemma3_text", "vaultgemma", "phi3", "phimoe", "starcoder2"),
    *("olmo3", "cohere2", "exaone4", "gpt_oss", "llama4_text"),
}
RECURRENT = {"mamba", "falcon_mamba", "mamba2", "jamba", "bamba", "falcon_h1", "lfm2", "qwen3_next"}


@pytest.mark.parametrize("family", [f if f in FAST else pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES])
def test_a_family_decodes_trains_and_exports_or_is_refused(family: str, repository: Path) -> None:
    found = examine(family)
    if family in NOT_CAUSAL:
        assert found.how.startswith(f"refused: model must be a causal language model, got {family}, in which")
    elif family in NO_DECODER:
        assert found.how == f"refused: model must be a causal language model, got {family}, an encoder and a decoder"
    else:
        assert (found.decodes, found.trains, found.exports) == (True, True, True)
        assert ("right" in found.how) == (family in RIGHT)
        assert ("read again" in found.how) == (family in REREAD)
    assert table([found]).splitlines()[-1] in (repository / "docs" / "models.md").read_text()


def test_the_table_is_long_enough() -> None:
    assert len(FAMILIES) >= 35


BACK = [f for f in FAMILIES if f not in NOT_CAUSAL | NO_DECODER]


@pytest.mark.parametrize("family", [f if f in FAST else pytest.param(f, marks=pytest.mark.slow) for f in BACK])
def test_a_family_takes_tokens_back_or_says_that_it_cannot(family: str, tmp_path: Path) -> None:
    word_tokenizer().save_pretrained(tmp_path)
    tokens = LanguageModel(small_model(family, tmp_path), word_tokenizer())
    assert tokens.rewinds is (family not in RECURRENT)
    prompts = padded_prompts()
    if not tokens.rewinds:
        session = tokens.start(prompts, 1)
        session.extend(torch.full((len(prompts), 1), 5))
        with pytest.raises(UserError, match=f"must keep a key-value cache that can be cut, .* got {family}$"):
            session.rewind(torch.ones(len(prompts), dtype=torch.int64))
        return
    with pytest.raises(UserError, match="below the model's sliding window") if family in WINDOWS else nullcontext():
        walk(tokens, prompts, seed=1, steps=8, tolerance=1e-3)
