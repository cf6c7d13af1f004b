from collections.abc import Iterator
from typing import Any

import pytest
import torch
from reference.tiny_models import SIZES, prompt_batch, random_model, word_tokenizer
from torch.utils._python_dispatch import TorchDispatchMode

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.models.tokenizers import ensure_pad
from qstar_pl.types import PromptBatch

PROMPTS = [[3, 4, 5, 6], [7, 8]]
COMPLETION = torch.tensor([[4, 9, 2], [5, 3, 10], [2, 6, 6], [8, 8, 1]])
INDEX = torch.tensor([0, 0, 1, 1])


def slow_logits(model: Any) -> torch.Tensor:
    """One forward pass per row, without padding or cache."""
    rows = []
    with torch.no_grad():
        for prompt, completion in zip(INDEX.tolist(), COMPLETION.tolist(), strict=True):
            ids = torch.tensor([PROMPTS[prompt] + completion])
            logits = model(ids, attention_mask=torch.ones_like(ids)).logits[0]
            rows.append(logits[len(PROMPTS[prompt]) - 1 : -1])
    return torch.stack(rows)


def decoded_logits(tokens: LanguageModel, prompts: PromptBatch) -> torch.Tensor:
    session, columns = tokens.start(prompts, samples=2), []
    for column in COMPLETION.T:
        columns.append(session.logits)
        session.advance(column)
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("family", SIZES)
@pytest.mark.parametrize("pads", [0, 50])
def test_cached_and_teacher_forced_logits_equal_unpadded_single_rows(family: str, pads: int) -> None:
    model = random_model(family)
    tokens, prompts = LanguageModel(model), prompt_batch(PROMPTS, pads=pads)
    expected = slow_logits(model)
    torch.testing.assert_close(decoded_logits(tokens, prompts), expected, rtol=1e-6, atol=1e-6)
    mask = torch.ones_like(COMPLETION, dtype=torch.bool)
    forced = tokens.completion_logits(prompts, INDEX, COMPLETION, mask)
    torch.testing.assert_close(forced, expected, rtol=1e-6, atol=1e-6)
    assert forced.requires_grad
    # Without gradients a prompt is read once for all its answers.
    read: list[int] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda module, ids, out: read.append(ids[0].numel()))
    with torch.no_grad():
        assert tokens.rewinds
        read.clear()
        shared = tokens.completion_logits(prompts, INDEX, COMPLETION, mask)
        assert read == [prompts.prompt_ids.numel(), COMPLETION[:, :-1].numel()]
        torch.testing.assert_close(shared, expected, rtol=1e-6, atol=1e-6)
        # In another order, and with an answer less: too few for it to pay.
        order = torch.tensor([2, 0, 3, 1])
        shared = tokens.completion_logits(prompts, INDEX[order], COMPLETION[order], mask)
        torch.testing.assert_close(shared, expected[order], rtol=1e-6, atol=1e-6)
        read.clear()
        three = tokens.completion_logits(prompts, INDEX[:3], COMPLETION[:3], mask[:3])
        assert read == [3 * (prompts.prompt_ids.shape[1] + COMPLETION.shape[1] - 1)]
        torch.testing.assert_close(three, expected[:3], rtol=1e-6, atol=1e-6)
    hook.remove()


class Products(TorchDispatchMode):
    """Counts products of several matrices at once that give logits."""

    def __init__(self, vocab: int) -> None:
        super().__init__()
        self.vocab, self.count = vocab, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        said = func(*args, **(kwargs or {}))
        self.count += func is torch.ops.aten.bmm.default and said.shape[-1] == self.vocab
        return said


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("gradients", [False, True])
def test_frozen_weights_are_read_once_for_all_rows(family: str, gradients: bool) -> None:
    """PyTorch multiplies a view with them row by row."""
    said = []
    for frozen in (False, True):
        model = random_model(family, vocab=13)
        model.get_output_embeddings().requires_grad_(not frozen)
        tokens, prompts = LanguageModel(model), prompt_batch(PROMPTS, pads=3)
        rows = slice(3)  # too few for their prompts to be read apart
        with torch.set_grad_enabled(gradients), Products(13) as products:
            forced = tokens.completion_logits(prompts, INDEX[rows], COMPLETION[rows], COMPLETION[rows] > 0)
        with torch.no_grad(), products:
            said.append((forced.detach(), tokens.start(prompts, 1).logits))
        assert products.count == 0
    torch.testing.assert_close(said[0], said[1], rtol=0, atol=0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@torch.no_grad()
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("frozen", [False, True])
def test_few_prompts_have_the_bits_of_many(family: str, frozen: bool) -> None:
    """Fewer than four rows are summed in another order: several columns are read by the head then."""
    tokens = LanguageModel(random_model(family, vocab=50).float().requires_grad_(not frozen))
    prompts = [[3, 4, 5, 6, 9, 9], [7, 8, 2, 4, 4, 6], [4, 4, 4, 3, 2, 6], [5, 7, 9, 7, 7, 8], [9, 8, 7, 6, 5, 4]]
    together = tokens.start(prompt_batch(prompts), 1).logits
    for count in (1, 2, 3, 4):
        assert torch.equal(tokens.start(prompt_batch(prompts[:count]), 1).logits, together[:count])


def test_prompts_of_one_length_take_the_path_without_a_mask() -> None:
    model = random_model("llama")
    prompts = prompt_batch([[3, 4], [5, 6]])
    session = LanguageModel(model).start(prompts, samples=1)
    session.advance(torch.tensor([7, 8]))
    ids = torch.tensor([[3, 4, 7], [5, 6, 8]])
    expected = model(ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
    torch.testing.assert_close(session.logits, expected.detach(), rtol=1e-6, atol=1e-6)


def test_what_lies_under_the_mask_is_never_read() -> None:
    tokens = LanguageModel(random_model("gpt2"))
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=torch.bool)
    reference = tokens.completion_logits(prompt_batch(PROMPTS), INDEX, COMPLETION, mask)
    # 1000 is no row of the embedding: an appended pad token has such an id.
    filled = tokens.completion_logits(
        prompt_batch(PROMPTS, pads=3, pad_id=1000), INDEX, COMPLETION.masked_fill(~mask, 1000), mask
    )
    torch.testing.assert_close(filled[mask], reference[mask], rtol=1e-6, atol=1e-6)
    session = tokens.start(prompt_batch(PROMPTS, pads=3, pad_id=1000), samples=1)
    torch.testing.assert_close(session.logits, reference[[0, 2], 0], rtol=1e-6, atol=1e-6)


def test_only_ids_of_the_tokenizer_have_a_probability() -> None:
    model = random_model("qwen2", vocab=16)  # an embedding padded to a round number
    tokens = LanguageModel(model, word_tokenizer())
    prompts = prompt_batch(PROMPTS)
    assert tokens.vocab_size == 11
    assert tokens.start(prompts, 1).logits.shape == (2, 11)
    mask = torch.ones_like(COMPLETION, dtype=torch.bool)
    assert tokens.completion_logits(prompts, INDEX, COMPLETION, mask).shape == (4, 3, 11)
    appended = ensure_pad(word_tokenizer(pad=None, unk=None))
    assert LanguageModel(random_model(vocab=11), appended).vocab_size == 11
    assert LanguageModel(model, appended).vocab_size == 11


def test_every_id_that_is_called_eos_ends_an_answer() -> None:
    model = random_model("llama", eos=1)
    assert LanguageModel(model).eos_token_ids == (1,)
    model.generation_config.eos_token_id = [4, 1]
    assert LanguageModel(model).eos_token_ids == (1, 4)
    assert LanguageModel(model, word_tokenizer(eos="w7")).eos_token_ids == (1, 4, 7)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    assert LanguageModel(model).eos_token_ids == ()


def test_dropout_is_off_without_gradients_and_the_mode_is_kept() -> None:
    model = random_model("gpt2")
    quiet = LanguageModel(model).start(prompt_batch(PROMPTS), 1).logits
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.9
    model.train()
    model.transformer.h[0].eval()
    modes = [part.training for part in model.modules()]
    tokens = LanguageModel(model)
    torch.testing.assert_close(tokens.start(prompt_batch(PROMPTS), 1).logits, quiet, rtol=0, atol=0)
    mask = torch.ones_like(COMPLETION, dtype=torch.bool)
    with torch.no_grad():
        logits = tokens.completion_logits(prompt_batch(PROMPTS), INDEX, COMPLETION, mask)
    torch.testing.assert_close(logits[::2, 0], quiet, rtol=1e-6, atol=1e-6)
    assert [part.training for part in model.modules()] == modes
    # With gradients the model is in the mode that its owner chose.
    noisy = tokens.completion_logits(prompt_batch(PROMPTS), INDEX, COMPLETION, mask)
    assert (noisy[::2, 0] - quiet).abs().max() > 0.01


def test_decoding_needs_a_cache_even_while_activations_are_recomputed() -> None:
    model = random_model("gpt2")
    expected = decoded_logits(LanguageModel(model), prompt_batch(PROMPTS))
    model.train()
    model.gradient_checkpointing_enable()
    torch.testing.assert_close(decoded_logits(LanguageModel(model), prompt_batch(PROMPTS)), expected)


def test_logits_of_half_precision_models_are_float32() -> None:
    tokens = LanguageModel(random_model("llama").bfloat16())
    session = tokens.start(prompt_batch(PROMPTS), 1)
    session.advance(torch.tensor([3, 3]))
    assert session.logits.dtype == torch.float32


def test_running_out_of_learnt_positions_is_one_line() -> None:
    tokens = LanguageModel(random_model("gpt2"))  # 128 positions
    with pytest.raises(UserError, match="128 positions, got 130"):
        tokens.start(prompt_batch([[3] * 130]), 1)
    session = tokens.start(prompt_batch([[3] * 127]), 1)
    session.advance(torch.tensor([3]))
    with pytest.raises(UserError, match="128 positions, got 129"):
        session.advance(torch.tensor([3]))
    tokens.start(prompt_batch([[3] * 100], pads=50), 1)  # pads take no positions


@pytest.mark.parametrize("family", SIZES)
def test_states_stand_where_the_token_is_predicted(family: str) -> None:
    """The output head makes the logits of the states, and a state has not read the token that it predicts."""
    model = random_model(family)
    tokens, prompts = LanguageModel(model), prompt_batch(PROMPTS, pads=3)
    mask = torch.ones_like(COMPLETION, dtype=torch.bool)
    logits, states = tokens.completion_states(prompts, INDEX, COMPLETION, mask)
    assert torch.equal(logits, tokens.completion_logits(prompts, INDEX, COMPLETION, mask))
    torch.testing.assert_close(model.get_output_embeddings()(states), logits)
    changed = COMPLETION.clone()
    changed[:, 1] = 7
    _, others = tokens.completion_states(prompts, INDEX, changed, mask)
    assert torch.equal(others[:, :2], states[:, :2])
    assert not torch.equal(others[:, 2], states[:, 2])
