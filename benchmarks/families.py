"""What models of many architectures can do here: the table of docs/models.md.

    python benchmarks/families.py            # the whole table, as Markdown
    python benchmarks/families.py llama rwkv # of some families

Every family is built small, with random weights, behind a tokenizer of words. It *decodes* if token-by-token logits of
two answers to each of two prompts, padded on the left, are those of each sequence alone; it *trains* if the
teacher-forced ones are too and a step of gradient descent on them raises their likelihood; it *exports* if a batched
forward pass of the written folder, by transformers alone, gives the same logits. It is a *reward model* if transformers
has a classifier of it whose score of a padded sequence is that of the sequence alone, and one of *prefixes* if
`TopKRewardTilted` may use it.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, LanguageModel, RewardModel
from qstar_pl.models.exporting import write_language_model
from qstar_pl.models.prefix_rewards import PrefixRewards
from qstar_pl.models.quiet import quiet
from qstar_pl.types import PromptBatch

VOCAB = 32
LIMIT = 1e-3
"""Largest difference of two log-probabilities that counts as none, in nats; rounding in float32 is some 1e-6."""
PROMPTS = ([3, 4, 5, 6, 9, 8, 7, 3], [7, 8, 5])
ANSWERS = torch.tensor(
    [[4, 9, 12, 5, 5, 6, 9], [5, 13, 10, 8, 9, 9, 4], [12, 6, 6, 4, 4, 11, 3], [8, 8, 11, 3, 20, 21, 6]]
)
"""Two to each prompt; behind eight tokens of prompt they leave the windows of `_SMALL`."""
INDEX = torch.tensor([0, 0, 1, 1])

_SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    **dict.fromkeys(
        ("hidden_size", "n_embd", "d_model", "lru_width", "attention_hidden_size", "word_embed_proj_dim"), 32
    ),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "multi_query_group_num"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "dff"), 64),
    **dict.fromkeys(("shared_expert_intermediate_size", "moe_intermediate_size"), 32),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok",), 2),
    **dict.fromkeys(("head_dim",), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size"), 10),
}
"""What a small model has, whatever its configuration calls it; names that a family lacks are left out."""
_LATENT = {
    **{"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
    **{"head_dim": 8, "num_key_value_heads": 4, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
}
_SSM = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_expand": 2, "mamba_chunk_size": 8}
FAMILIES: Mapping[str, dict[str, Any]] = {
    **{"gpt2": {}, "gpt_neo": {"attention_types": [[["global", "local"], 1]]}, "gptj": {"rotary_dim": 4}},
    **{"gpt_neox": {}, "gpt_bigcode": {"num_key_value_heads": 1}, "openai-gpt": {}, "opt": {}, "bloom": {}},
    **{"llama": {}, "mistral": {}, "ministral": {}, "mixtral": {}, "qwen2": {}, "qwen2_moe": {}, "qwen3": {}},
    **{"qwen3_moe": {}, "gemma": {}, "gemma2": {}, "gemma3_text": {}, "vaultgemma": {}, "phi": {}, "phi3": {}},
    **{"phimoe": {}, "falcon": {}, "mpt": {}, "stablelm": {}, "starcoder2": {}, "codegen": {"rotary_dim": 4}},
    **{"olmo": {}, "olmo2": {}, "olmo3": {}, "olmoe": {}, "granite": {}, "granitemoe": {}, "cohere": {}, "cohere2": {}},
    **{"persimmon": {}, "xglm": {}, "biogpt": {}, "ctrl": {}, "smollm3": {}, "deepseek_v3": _LATENT, "glm": {}},
    **{"glm4": {}, "nemotron": {}, "exaone4": {}, "helium": {}, "arcee": {}, "apertus": {}, "ernie4_5": {}},
    **{"seed_oss": {}, "bitnet": {}, "diffllama": {"num_key_value_heads": 4}, "gpt_oss": {}},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8},
        "ffn_config": {"hidden_size": 32, "ffn_hidden_size": 32, "moe_num_experts": 2},
    },
    "llama4_text": {"attention_chunk_size": 10, "intermediate_size_mlp": 32, "num_local_experts": 2},
    "mamba": {"state_size": 8},
    "falcon_mamba": {"state_size": 8},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 8, "chunk_size": 8},
    "rwkv": {},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "jamba": {
        **{"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8, "mamba_dt_rank": 4},
        **{"use_mamba_kernels": False},
    },
    "bamba": {**_SSM, "attn_layer_indices": [1]},
    "falcon_h1": {**_SSM, "mamba_d_ssm": 64},
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "qwen3_next": {
        **{"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2},
        **{"linear_num_value_heads": 2, "layer_types": ["linear_attention", "full_attention"]},
    },
    "minimax": {"block_size": 4, "layer_types": ["linear_attention", "full_attention"]},
    "roberta": {"is_decoder": True},
    "bert-generation": {"is_decoder": True},
    "bert": {},
    "electra": {"embedding_size": 32},
    "roformer": {},
    "xlnet": {"d_inner": 64},
    **{"t5": {}, "bart": {}, "mbart": {}, "pegasus": {}, "prophetnet": {}},
}
"""model_type → fields of its own."""


@dataclass(frozen=True)
class Findings:
    """One row of the table."""

    family: str
    decodes: bool = False
    trains: bool = False
    exports: bool = False
    reward_model: str = "no"
    how: str = ""
    """How it is read, or the line that refuses it."""


def small_overrides(family: str) -> dict[str, Any]:
    """Return the fields that make a family small."""
    known = AutoConfig.for_model(family).to_dict()
    return {**{name: value for name, value in _SMALL.items() if name in known}, **FAMILIES.get(family, {})}


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of VOCAB words."""
    names = ["<pad>", "<eos>", "<unk>", *(f"w{i}" for i in range(3, VOCAB))]
    backend = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")


def small_model(family: str, folder: Path, scale: float = 0.3) -> PreTrainedModel:
    """Return a random model whose matrices have standard deviation `scale`, so that its predictions are not flat."""
    model = FromConfig(family, small_overrides(family), tokenizer_name=str(folder)).load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part in model.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=scale)
    return model


def alone(model: PreTrainedModel) -> Tensor:
    """Return log π [rows, time, vocab] of the answers' tokens, each sequence read by itself, unpadded."""
    rows = []
    with torch.no_grad():
        for prompt, answer in zip(INDEX.tolist(), ANSWERS.tolist(), strict=True):
            logits = model(torch.tensor([PROMPTS[prompt] + answer])).logits[0]
            rows.append(logits[len(PROMPTS[prompt]) - 1 : -1].log_softmax(-1))
    return torch.stack(rows)


def padded_prompts(pads: int = 3) -> PromptBatch:
    """Return the prompts, padded on the left to the longest and `pads` more."""
    length = max(map(len, PROMPTS)) + pads
    mask = torch.tensor([[False] * (length - len(row)) + [True] * len(row) for row in PROMPTS])
    ids = torch.zeros(mask.shape, dtype=torch.int64).masked_scatter(
        mask, torch.tensor([i for row in PROMPTS for i in row])
    )
    return PromptBatch(ids, mask, torch.tensor([1, 2]), ())


def decoded(tokens: LanguageModel) -> Tensor:
    """Return log π of the answers' tokens, one token at a time."""
    session, said = tokens.start(padded_prompts(), 2), []
    for column in ANSWERS.T:
        said.append(session.logits.log_softmax(-1))
        session.advance(column)
    return torch.stack(said, dim=1)


def forced(tokens: LanguageModel) -> Tensor:
    """Return log π of the answers' tokens in one forward pass, with gradient."""
    mask = torch.ones_like(ANSWERS, dtype=torch.bool)
    return tokens.completion_logits(padded_prompts(), INDEX, ANSWERS, mask).log_softmax(-1)


def one_step_helps(tokens: LanguageModel) -> bool:
    """Return whether a small step along a finite gradient raises the answers' likelihood."""

    def likelihood() -> Tensor:
        return forced(tokens).gather(-1, ANSWERS.unsqueeze(-1)).sum()

    before = likelihood()
    parameters = [p for p in tokens.model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(before, parameters, allow_unused=True)
    norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    if not bool(norm.isfinite()) or norm == 0:
        return False
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.add_(gradient, alpha=1e-3 / float(norm))
        return bool(likelihood() > before)


def exported(tokens: LanguageModel, folder: Path) -> bool:
    """Return whether transformers alone reads the written folder, in a batch padded as it pads by itself."""
    assert tokens.tokenizer is not None
    expected = alone(tokens.model)
    write_language_model(tokens.model, tokens.tokenizer, folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    own = AutoTokenizer.from_pretrained(folder)
    rows = [PROMPTS[prompt] + answer for prompt, answer in zip(INDEX.tolist(), ANSWERS.tolist(), strict=True)]
    batch = own.pad({"input_ids": rows}, return_tensors="pt", padding_side="right")
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.log_softmax(-1)
    time = ANSWERS.shape[1]
    starts = [len(PROMPTS[prompt]) - 1 for prompt in INDEX.tolist()]
    found = torch.stack([row[start : start + time] for row, start in zip(logits, starts, strict=True)])
    return close(found, expected)


def reward_model(source: FromConfig) -> str:
    """Return what a classifier of the family is good for."""
    try:
        scorer = RewardModel(source.load_reward())
    except (UserError, ValueError):  # transformers has none, or one whose head is not a scalar at every token
        return "no"
    ids = torch.tensor([i for row in PROMPTS for i in row]).split([len(row) for row in PROMPTS])
    batch = padded_prompts()
    with torch.no_grad():
        together = scorer.score(batch.prompt_ids, batch.prompt_mask)
        single = [scorer.score(row[None], torch.ones_like(row, dtype=torch.bool)[None]) for row in ids]
        if not close(together, torch.cat(single)):
            return "no"
        try:
            PrefixRewards(scorer)
        except UserError:
            return "yes"
    return "of prefixes too"


def close(found: Tensor, expected: Tensor) -> bool:
    """Return whether no log-probability differs by more than LIMIT."""
    return bool((found - expected).abs().max() <= LIMIT)


def examine(family: str) -> Findings:
    """Build a family small and try everything."""
    with tempfile.TemporaryDirectory() as name, quiet():
        folder = Path(name)
        tokenizer = word_tokenizer()
        tokenizer.save_pretrained(folder)
        try:
            tokens = LanguageModel(small_model(family, folder), tokenizer)
            expected = alone(tokens.model)
            reading = tokens.reading
        except UserError as refusal:
            return Findings(family, how=f"refused: {refusal}")
        how = f"pads on the {reading.padding}" + ("" if reading.cache else ", read again for every token")
        decodes = close(decoded(tokens), expected)
        trains = close(forced(tokens).detach(), expected) and one_step_helps(tokens)
        source = FromConfig(family, small_overrides(family), tokenizer_name=str(folder))
        return Findings(family, decodes, trains, exported(tokens, folder / "out"), reward_model(source), how)


def table(rows: Sequence[Findings]) -> str:
    """Return the rows as Markdown."""
    lines = ["| family | decodes | trains | exports | reward model | how |", "|---|---|---|---|---|---|"]
    for row in rows:
        marks = " | ".join("yes" if mark else "no" for mark in (row.decodes, row.trains, row.exports))
        lines.append(f"| `{row.family}` | {marks} | {row.reward_model} | {row.how} |")
    return "\n".join(lines)


def main(families: Sequence[str]) -> None:
    """Print the table."""
    warnings.filterwarnings("ignore")
    print(table([examine(family) for family in families or list(FAMILIES)]))


if __name__ == "__main__":
    main(sys.argv[1:])
