"""Many architectures, each built small: cached, batched and padded, they say what each sequence alone gets."""

from pathlib import Path

import pytest
from reference.families import FAMILIES, examine, table

NOT_CAUSAL = {"bert", "electra", "roformer", "xlnet"}
NO_DECODER = {"t5", "bart", "mbart", "pegasus", "prophetnet"}
REREAD = {"openai-gpt", "rwkv", "recurrent_gemma", "minimax", "roberta"}
RIGHT = {"rwkv", "recurrent_gemma", "roberta"}
FAST = {"gpt2", "opt", "bloom", "llama", "gemma2", "mamba", "rwkv", "recurrent_gemma", "jamba", "roberta", "bert", "t5"}


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
