from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.models import tiny


def test_names_of_embedded_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("policy", "tokenizer"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tiny, "ASSETS", tmp_path)
    assert tiny.resolve("tiny/policy") == str(tmp_path / "policy")
    assert tiny.resolve("gpt2") == "gpt2"
    assert tiny.resolve_tokenizer("tiny/policy") == tiny.resolve_tokenizer("tiny") == str(tmp_path / "tokenizer")
    assert tiny.resolve_tokenizer("gpt2") == "gpt2"
    with pytest.raises(UserError, match="name must be one of tiny/policy, got 'tiny/gold'"):
        tiny.resolve("tiny/gold")
