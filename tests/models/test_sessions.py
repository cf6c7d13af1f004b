import pytest
import torch
from reference.sessions import walk
from reference.tiny_models import SIZES, TableModel, prompt_batch, random_model
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel

PROMPTS = [[3, 4, 5, 6], [7, 8], [9]]
SMALL = {"vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 2, "eos_token_id": None, "pad_token_id": 0}
HEADS = {"num_attention_heads": 2, "intermediate_size": 32}


def small(family: str, **options) -> LanguageModel:
    config = AutoConfig.for_model(family, **{**SMALL, **options})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float64).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return LanguageModel(model)


def windowed(window: int) -> LanguageModel:
    return small("mistral", sliding_window=window, num_key_value_heads=1, **HEADS)


def test_walks_do_everything() -> None:
    table = torch.randn(11, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    done = set().union(*(walk(TableModel(table), prompt_batch(PROMPTS), seed) for seed in range(4)))
    assert done == {"extend", "advance", "rewind", "even", "uneven", "select", "join"}


@pytest.mark.parametrize("family", SIZES)
@pytest.mark.parametrize("pads", [0, 5])
def test_blocks_and_rewinds_equal_the_one_token_path(family: str, pads: int) -> None:
    model = LanguageModel(random_model(family))
    assert model.rewinds
    for seed in (pads, pads + 1):
        walk(model, prompt_batch(PROMPTS, pads=pads), seed)


@pytest.mark.parametrize("prompts", [PROMPTS, [[3, 4], [5, 6]]], ids=["padded", "even"])
def test_in_float32_up_to_rounding(prompts) -> None:
    walk(LanguageModel(random_model("llama").float()), prompt_batch(prompts), seed=3, tolerance=2e-5)


@pytest.mark.parametrize("family", ["bloom", "mpt"])
def test_distances_counted_in_columns_survive_an_uneven_rewind(family: str) -> None:
    """ALiBi's penalties follow columns in MPT: a hole in the mask would count as distance."""
    sizes = {"bloom": {"n_layer": 2, "n_head": 2}, "mpt": {"d_model": 16, "n_layers": 2, "n_heads": 2}}[family]
    model = small(family, **sizes)
    assert model.rewinds
    walk(model, prompt_batch(PROMPTS), seed=1)


def test_a_sliding_window_can_be_rewound_until_it_has_moved_on() -> None:
    model, prompts = windowed(16), prompt_batch(PROMPTS)
    assert model.rewinds
    walk(model, prompts, seed=2)
    session = model.start(prompts, 1)
    session.extend(torch.full((3, 12), 5))
    with pytest.raises(UserError, match=r"below the model's sliding window .* got 16 columns and a window of 16"):
        session.rewind(torch.tensor([1, 0, 2]))
    session.select(torch.tensor([2]))  # what needs no going back still works
    assert session.extend(torch.tensor([[4, 5]])).shape == (1, 2, 11)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_a_row_that_joins_a_multiple_of_16_columns_away_gets_the_same_bits(family: str) -> None:
    model = LanguageModel(random_model(family).float())
    draw = torch.Generator().manual_seed(0)
    old, new = (prompt_batch(torch.randint(2, 11, (4, n), generator=draw).tolist(), pads=1) for n in (14, 8))
    tokens = torch.randint(2, 11, (16, 4), generator=draw)
    running, alone = model.start(old, 1), model.start(new, 1)
    for token in tokens[:10]:
        running.advance(token)
    assert running.columns - alone.columns == 16
    running.join(model.start(new, 1))
    assert torch.equal(running.logits[4:], alone.logits)
    for token in tokens[10:]:
        running.advance(torch.cat([token, token]))
        alone.advance(token)
        assert torch.equal(running.logits[4:], alone.logits)
    running.select(torch.arange(4, 8))
    running.join(model.start(old, 1))  # pads that no row needs any more are dropped
    assert running.columns == 15
    alone.advance(tokens[0])
    running.advance(torch.cat([tokens[0], tokens[0]]))
    assert torch.equal(running.logits[:4], alone.logits)


@pytest.mark.parametrize("kind", ["window", "state"])
def test_rows_join_no_sliding_window_and_no_recurrent_state(kind: str) -> None:
    model = windowed(16) if kind == "window" else small("mamba")
    assert not model.joins
    prompts = prompt_batch(PROMPTS)
    with pytest.raises(UserError, match=r"model must keep a key-value cache without sliding windows, .* got m"):
        model.start(prompts, 1).join(model.start(prompts, 1))


STATES = {"num_key_value_heads": 1, "mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8, "mamba_d_state": 8}


@pytest.mark.parametrize(
    ("family", "sizes"), [("mamba", {}), ("falcon_h1", {**STATES, **HEADS})], ids=["pure", "mixed"]
)
def test_a_recurrent_state_cannot_be_rewound_but_extended_and_chosen_from(family, sizes) -> None:
    model, prompts = small(family, **sizes), prompt_batch(PROMPTS)
    assert model.reading.cache
    assert not model.rewinds
    one, block = model.start(prompts, 1), model.start(prompts, 1)
    tokens = torch.tensor([[4, 5], [6, 7], [8, 9]])
    said = block.extend(tokens)
    for place in range(2):
        one.advance(tokens[:, place])
        torch.testing.assert_close(said[:, place], one.logits)
    for session in (one, block):
        session.select(torch.tensor([2, 0, 2]))
        session.advance(torch.tensor([3, 4, 5]))
    torch.testing.assert_close(block.logits, one.logits)
    with pytest.raises(UserError) as raised:
        block.rewind(torch.tensor([1, 0, 0]))
    assert str(raised.value) == (
        "model must keep a key-value cache that can be cut, for a sampler that takes tokens back, got " + family
    )


def test_a_model_without_a_cache_reads_again_and_so_can_do_everything() -> None:
    model = small("openai-gpt", n_embd=16, n_layer=2, n_head=2)
    assert not model.reading.cache
    assert model.rewinds
    walk(model, prompt_batch(PROMPTS), seed=4)


@pytest.mark.parametrize("counts", [[-1, 0, 0], [0, 3, 0], [1]])
def test_only_appended_tokens_can_be_taken_back(counts) -> None:
    session = LanguageModel(random_model()).start(prompt_batch(PROMPTS), 1)
    session.extend(torch.full((3, 2), 5))
    with pytest.raises(ValueError, match=r"counts must lie in \[0, tokens appended\]"):
        session.rewind(torch.tensor(counts))


def test_a_rewind_within_the_last_block_costs_no_pass() -> None:
    network = random_model("qwen2")
    session = LanguageModel(network).start(prompt_batch(PROMPTS), 1)
    block = session.extend(torch.tensor([[4, 5, 6], [6, 7, 8], [8, 9, 10]]))
    passes = []
    network.register_forward_hook(lambda *_: passes.append(1))
    session.rewind(torch.tensor([0, 2, 1]))
    torch.testing.assert_close(session.logits, block[torch.arange(3), torch.tensor([2, 0, 1])], rtol=0, atol=0)
    assert passes == []
    session.rewind(torch.tensor([1, 1, 0]))
    assert session.logits.shape == (3, 11)
    assert passes == [1]


def test_the_caller_may_reuse_its_tensor() -> None:
    model = LanguageModel(random_model())
    session, tokens = model.start(prompt_batch(PROMPTS), 1), torch.tensor([4, 5, 6])
    session.advance(tokens)
    expected = session.logits
    session.advance(tokens.fill_(9))
    tokens.fill_(2)
    session.rewind(torch.ones(3, dtype=torch.int64))
    torch.testing.assert_close(session.logits, expected)
