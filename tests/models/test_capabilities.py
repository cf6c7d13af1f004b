import re
from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, prompt_batch, random_model, word_tokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from qstar_pl.errors import UserError
from qstar_pl.models import Capabilities, FromConfig, LanguageModel, Pretrained
from qstar_pl.models.tokenizers import ensure_pad

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chat_tokenizer(folder: Path | None = None, template: str = CHATML) -> PreTrainedTokenizerFast:
    tokenizer = word_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})  # ids 11 and 12
    tokenizer.chat_template = template
    if folder is not None:
        tokenizer.save_pretrained(folder)
    return tokenizer


def test_an_answer_ends_at_eos_at_the_end_of_a_turn_and_where_the_generation_defaults_say() -> None:
    model = random_model("llama", vocab=16)
    model.generation_config.eos_token_id = [4, 1]
    found = Capabilities.of(model, chat_tokenizer())
    assert (found.eos_id, found.turn_end_id, found.end_ids) == (1, 12, (1, 4, 12))
    assert (found.rows, found.vocab_size, found.absent_ids) == (16, 13, ())


def test_a_folder_says_so_without_its_weights(tmp_path: Path) -> None:
    model = random_model("llama", vocab=16)
    model.generation_config.eos_token_id = [4, 1]
    model.config.save_pretrained(tmp_path)
    model.generation_config.save_pretrained(tmp_path)
    chat_tokenizer(tmp_path)
    assert Pretrained(str(tmp_path)).capabilities().end_ids == (1, 4, 12)


@pytest.mark.parametrize(
    ("template", "end"),
    [
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}", 1),
        ("{% for m in messages %}{{ m.role }}: {{ m.content }}\n### End\n{% endfor %}", None),  # text, no token
        ("{{ raise_exception('never') }}", None),
        ("{% for m in messages %}<|im_start|>{{ m.content | trim }} <|im_end|>{% endfor %}", 12),
    ],
)
def test_the_end_of_a_turn_counts_where_it_is_a_token(template: str, end: int | None) -> None:
    assert Capabilities.of(random_model("llama", vocab=16), chat_tokenizer(template=template)).turn_end_id == end


def test_the_default_of_a_class_is_no_end_where_the_tokenizer_reads_text() -> None:
    """LlamaConfig calls 2 EOS unless it is told otherwise; behind another family's tokenizer that is a word."""
    model = random_model("llama", vocab=16, eos=2)
    tokenizer = word_tokenizer(unk=None)
    assert Capabilities.of(model, tokenizer).end_ids == (1,)
    model.config.eos_token_id = model.generation_config.eos_token_id = 5  # told so
    assert Capabilities.of(model, tokenizer).end_ids == (1, 5)


@pytest.mark.parametrize(("family", "size"), [("gpt2", 128), ("llama", 2048), ("opt", 2048), ("qwen2", 32768)])
def test_the_context_of_learnt_and_of_computed_positions(family: str, size: int) -> None:
    sizes = SIZES.get(family, {})
    assert Capabilities.declared(AutoConfig.for_model(family, **sizes)).context.limit == size


def test_recurrent_models_and_alibi_have_no_limit() -> None:
    for family in ("mamba", "bloom"):
        assert Capabilities.declared(AutoConfig.for_model(family)).context.limit is None


@pytest.mark.parametrize(
    ("family", "rotary", "limit"),
    [
        ("llama", {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}, 2048),
        ("llama", {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}, 2048),
        (
            "llama",
            {
                "rope_type": "longrope",
                "short_factor": [1.0] * 4,
                "long_factor": [2.0] * 4,
                "original_max_position_embeddings": 512,
                "rope_theta": 1e4,
            },
            512,
        ),
        (
            "qwen2",
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192, "rope_theta": 1e4},
            32768,
        ),
    ],
)
def test_angles_that_change_with_the_length_end_the_context_where_they_begin_to(
    family: str, rotary: dict[str, object], limit: int
) -> None:
    config = AutoConfig.for_model(family, **SIZES[family], rope_parameters=rotary)
    context = Capabilities.declared(config).context
    assert context.limit == limit
    assert ("rotary" in context.reason) == (rotary["rope_type"] in ("dynamic", "longrope"))


def test_a_table_that_keeps_rows_for_pads_holds_fewer_positions() -> None:
    """RoBERTa's positions begin behind the pad's: 40 rows with pad 1 hold 38 tokens."""
    config = AutoConfig.for_model(
        "roberta",
        vocab_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=40,
        is_decoder=True,
    )
    assert Capabilities.of(AutoModelForCausalLM.from_config(config)).context.limit == 38


def test_a_token_without_a_row_is_one_line() -> None:
    with pytest.raises(UserError, match=r"11 rows, got '<\|im_start\|>' with id 11 and 1 more") as error:
        Capabilities.of(random_model("llama"), chat_tokenizer())
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="5 rows, got 'w5' with id 5"):
        Capabilities.of(random_model("gpt2", vocab=5), word_tokenizer())


def test_a_pad_without_a_row_is_no_fault() -> None:
    for tokenizer in (ensure_pad(word_tokenizer(pad=None, unk=None)), word_tokenizer(pad=None)):
        if tokenizer.pad_token is None:
            tokenizer.add_special_tokens({"pad_token": "[PAD]"})  # a pad of the tokenizer's own, id 11
        found = Capabilities.of(random_model("llama"), tokenizer)
        assert (found.pad_id, found.embedded_pad_id, found.vocab_size) == (11, None, 11)
    assert Capabilities.of(random_model("llama", vocab=16), tokenizer).embedded_pad_id == 11


def test_ids_between_tokens_that_stand_for_nothing() -> None:
    backend = Tokenizer(WordLevel({"<pad>": 0, "<eos>": 1, "w2": 2, "w15": 15}, unk_token="<pad>"))
    gap = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<pad>")
    found = Capabilities.of(random_model("llama", vocab=20), gap)
    assert (found.vocab_size, found.absent_ids) == (16, tuple(range(3, 15)))
    # Neither is ever sampled: not what lies between tokens, nor the embedding's rows behind the last one.
    tokens = LanguageModel(random_model("llama", vocab=20), gap)
    logits = tokens.start(prompt_batch([[2, 15]]), 1).logits[0]
    assert logits.isfinite().nonzero().flatten().tolist() == [0, 1, 2, 15]


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    with pytest.raises(UserError, match="causal language model, got t5, an encoder and a decoder"):
        FromConfig("t5", {"vocab_size": 16}, tokenizer_name=str(tmp_path)).capabilities()


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_pad_beyond_the_embedding_does_not_reach_its_padding_index(family: str, tmp_path: Path) -> None:
    """GPT-2's tokenizer has no pad: the one appended has no row, and no model can be built that knows of it."""
    word_tokenizer(tmp_path, pad=None, unk=None)
    overrides = {**SIZES[family], "vocab_size": 11}
    source = FromConfig(family, overrides, tokenizer_name=str(tmp_path))
    assert source.load().get_input_embeddings().padding_idx is None
    source.load().save_pretrained(tmp_path)
    reward = Pretrained(str(tmp_path)).load_reward()
    assert reward.get_input_embeddings().padding_idx is None
    assert reward.config.pad_token_id is None


def test_a_folder_whose_own_pad_has_no_row_is_read(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    model = random_model("llama").float()
    for pad in (-1, 11):
        model.config.pad_token_id = pad
        model.config.save_pretrained(tmp_path)
        model.save_pretrained(tmp_path)
        loaded = Pretrained(str(tmp_path)).load()
        assert torch.equal(loaded.model.embed_tokens.weight, model.model.embed_tokens.weight)


def test_nothing_else_guesses(repository):
    """What configurations call these facts is known in three files: they, and the cache's own layers, answer."""
    names = re.compile("is_encoder_decoder|max_position_embeddings|rope_parameters|rope_scaling|sliding_window")
    package = repository / "src" / "qstar_pl"
    found = {file.relative_to(package).as_posix() for file in package.rglob("*.py") if names.search(file.read_text())}
    assert found == {"models/capabilities.py", "models/context.py", "models/cache.py"}
