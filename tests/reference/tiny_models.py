"""Language models and tokenizers small enough to enumerate."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.types import PromptBatch

SIZES = {
    "gpt2": {"n_layer": 2, "n_embd": 16, "n_head": 2, "n_positions": 128},
    "llama": {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32},
    "gpt_neox": {"num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32},
    "qwen2": {
        "num_hidden_layers": 2,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
    },
}


def random_model(
    family: str = "gpt2", vocab: int = 11, seed: int = 0, scale: float = 0.5, eos: int | None = 1
) -> PreTrainedModel:
    """A random model in float64 whose weights have standard deviation `scale`, so that its predictions are not flat."""
    config = AutoConfig.for_model(
        family,
        **SIZES[family],
        vocab_size=vocab,
        initializer_range=scale,
        bos_token_id=eos,
        eos_token_id=eos,
        pad_token_id=0,
    )
    for name in config.to_dict():
        if "drop" in name and isinstance(getattr(config, name), float):
            setattr(config, name, 0.0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float64)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=scale)
    return model.eval()


def word_tokenizer(
    folder: Path | None = None,
    vocab: int = 11,
    eos: str = "<eos>",
    pad: str | None = "<pad>",
    unk: str | None = "<unk>",
    words: str = "w",
) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words: <pad>, <eos>, <unk>, w3, w4, …; saved to `folder` if one is given."""
    names = ["<pad>", "<eos>", "<unk>", *(f"{words}{i}" for i in range(3, vocab))]
    backend = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    options = {"eos_token": eos, "pad_token": pad, "unk_token": unk}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **{k: v for k, v in options.items() if v is not None})
    if folder is not None:
        tokenizer.save_pretrained(folder)
    return tokenizer


def prompt_batch(
    prompts: list[list[int]], pads: int = 0, pad_id: int = 0, keys: list[int] | None = None
) -> PromptBatch:
    """Prompts padded on the left to the longest of them plus `pads`."""
    length = max(map(len, prompts)) + pads
    ids = torch.tensor([[pad_id] * (length - len(p)) + p for p in prompts])
    mask = torch.tensor([[False] * (length - len(p)) + [True] * len(p) for p in prompts])
    return PromptBatch(ids, mask, torch.tensor(keys or [100 + i for i in range(len(prompts))]), ())


class TableModel(NextToken):
    """A Markov chain: the logits of the next token are a row of a table chosen by the last token."""

    def __init__(self, table: Tensor, eos: tuple[int, ...] = ()) -> None:
        self.table = table
        self._eos = eos
        self.steps = 0
        self.passes = 0

    @property
    def vocab_size(self) -> int:
        return self.table.shape[1]

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        return self._eos

    @property
    def joins(self) -> bool:
        return True

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        return _TableSession(self, prompts.prompt_ids.repeat_interleave(samples, dim=0))

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        self.passes += 1
        first = prompts.prompt_ids[prompt_index, -1:]
        return self.table[torch.cat([first, completion_ids[:, :-1]], dim=1)]


class _TableSession(DecodeSession):
    def __init__(self, model: TableModel, ids: Tensor) -> None:
        self._model, self._rows = model, [row.tolist() for row in ids]

    @property
    def logits(self) -> Tensor:
        return self._model.table[[row[-1] for row in self._rows]]

    def advance(self, token_ids: Tensor) -> None:
        self._model.steps += 1
        for row, token in zip(self._rows, token_ids.tolist(), strict=True):
            row.append(token)

    def rewind(self, counts: Tensor) -> None:
        for row, count in zip(self._rows, counts.tolist(), strict=True):
            del row[len(row) - count :]

    def select(self, rows: Tensor) -> None:
        self._rows = [list(self._rows[i]) for i in rows.tolist()]

    def join(self, other: DecodeSession) -> None:
        assert isinstance(other, _TableSession)
        self._rows += other._rows
