"""How blocks are executed, where it changes nothing: the gradient, and the names of the weights."""

import copy

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.models.blocks import blocks_of, compile_blocks, recompute_blocks

IDS = torch.arange(24).reshape(2, 12) % 50


@pytest.fixture(autouse=True)
def compiled_by_nobody_else():
    """Blocks of one class share code, of which dynamo compiles so many variants per process and no more."""
    torch._dynamo.reset()


def model(kind: str = "gpt2", **options):
    sizes = {"gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2}, "llama": {"hidden_size": 16, "intermediate_size": 32}}
    if kind == "llama":
        options |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, vocab_size=50, bos_token_id=0, eos_token_id=0, **sizes[kind], **options)
    return AutoModelForCausalLM.from_config(config)


def gradient(of):
    torch.manual_seed(1)  # of the dropout
    of.zero_grad()
    of(input_ids=IDS, use_cache=False).logits.logsumexp(-1).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in of.named_parameters()}


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_block_that_runs_again_gives_the_same_gradient_to_the_bit(kind):
    plain, again = model(kind).train(), model(kind).train()
    passes = []
    for block in blocks_of(again):
        (block.attn if kind == "gpt2" else block.self_attn).register_forward_pre_hook(lambda *_: passes.append(1))
    recompute_blocks(again)
    wanted, got = gradient(plain), gradient(again)
    assert len(passes) == 4  # two blocks, each twice
    assert list(wanted) == list(got)
    assert all(torch.equal(got[name], value) for name, value in wanted.items())
    assert list(again.state_dict()) == list(plain.state_dict())


def test_dropout_is_drawn_once():
    plain, again = (model(resid_pdrop=0.5).train() for _ in range(2))
    recompute_blocks(again)
    wanted, got = gradient(plain), gradient(again)
    assert all(torch.equal(got[name], value) for name, value in wanted.items())


def test_without_gradients_nothing_runs_again_and_a_cache_grows_once():
    again = model().eval()
    recompute_blocks(again)
    compile_blocks(again, "eager")
    with torch.no_grad():
        said = again(input_ids=IDS[:, :6], use_cache=True)
        assert said.past_key_values.get_seq_length() == 6
        rest = again(input_ids=IDS[:, 6:], past_key_values=said.past_key_values, use_cache=True)
    assert rest.past_key_values.get_seq_length() == 12
    torch.testing.assert_close(rest.logits, model().eval()(input_ids=IDS).logits[:, 6:])


@pytest.mark.parametrize("again", [False, True])
def test_compiled_blocks_give_the_same_numbers(again):
    """By a backend without a compiler: `aot_eager` traces both passes as inductor does, and runs them plainly."""
    plain, compiled = model().eval(), model().eval()
    compile_blocks(compiled, "aot_eager")
    if again:
        recompute_blocks(compiled)
    wanted, got = gradient(plain), gradient(compiled)
    assert list(wanted) == list(got)
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value)
    assert list(compiled.state_dict()) == list(plain.state_dict())


def test_a_copy_has_blocks_of_its_own():
    first = model()
    recompute_blocks(first)
    other = copy.deepcopy(first)
    with torch.no_grad():
        blocks_of(other)[0].mlp.c_fc.weight.add_(1.0)
    assert not torch.equal(first(input_ids=IDS).logits, other(input_ids=IDS).logits)


def test_what_cannot_be():
    with pytest.raises(UserError, match=r"^torch_compile must be true, false or a backend .*inductor.*, got gcc$"):
        compile_blocks(model(), "gcc")
    with pytest.raises(UserError, match=r"^gradient_checkpointing must be false for Linear, whose blocks"):
        recompute_blocks(nn.Linear(2, 2))


def test_a_backend_that_cannot_work_is_one_line():
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    torch._dynamo.register_backend(broken, name="broken")
    compiled = model()
    compile_blocks(compiled, "broken")
    with pytest.raises(UserError, match=r"^torch_compile must be false, or another .*got broken: .*no compiler"):
        compiled(input_ids=IDS, use_cache=False)
