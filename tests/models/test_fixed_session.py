"""Sessions whose tokens are read by compiled passes, against those of the plain kind."""

import pytest
import torch
from reference.compilers import leaving, nothing_collected
from reference.tiny_models import prompt_batch, random_model
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.models import LanguageModel, fixed_rooms, fixed_session
from qstar_pl.models.compiling import Compiling, compiling, notice
from qstar_pl.models.next_token import DecodeSession
from qstar_pl.types import PromptBatch

PROMPTS = [[3, 4, 5, 6], [7, 8], [9]]
GRAPHS: list[object] = []


def counted(graph, inputs):
    GRAPHS.append(graph)
    return graph.forward


def broken(graph, inputs):
    raise RuntimeError("no compiler here")


def wrong(graph, inputs):
    return lambda *given: [1.5 * said for said in graph.forward(*given)]


@pytest.fixture(autouse=True, scope="module")
def backends() -> None:
    for backend in (counted, broken, wrong):
        torch._dynamo.register_backend(backend, name=f"{backend.__name__}_pass")


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    notice.cache_clear()
    GRAPHS.clear()


def model(family: str = "gpt2") -> LanguageModel:
    return LanguageModel(random_model(family, scale=0.3).float())


def start(owner: LanguageModel, prompts: PromptBatch, samples: int, backend: str, tokens: int = 12) -> DecodeSession:
    with compiling(Compiling(backend, tokens)):
        return owner.start(prompts, samples)


def check(compiled: DecodeSession, plain: DecodeSession) -> None:
    torch.testing.assert_close(compiled.logits, plain.logits, rtol=1e-5, atol=1e-5)


def tokens(rows: int, time: int) -> Tensor:
    return torch.randint(2, 11, (rows,), generator=torch.Generator().manual_seed(time))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_compiled_tokens_are_those_of_the_plain_session(family: str) -> None:
    """Left pads, rows that leave, tokens that are taken back, blocks in between."""
    owner, prompts = model(family), prompt_batch(PROMPTS, pads=2)
    plain, compiled = owner.start(prompts, 2), start(owner, prompts, 2, "aot_eager")

    def grow(times: range) -> None:
        for time in times:
            for session in (plain, compiled):
                session.advance(tokens(len(plain.logits), time))
            check(compiled, plain)

    grow(range(4))
    for session in (plain, compiled):
        session.select(torch.tensor([0, 2, 3, 4, 5]))  # six rows are compiled; one is not there
    grow(range(4, 8))
    for session in (plain, compiled):
        session.rewind(torch.tensor([0, 2, 1, 0, 3]))
    check(compiled, plain)
    grow(range(8, 10))
    block = torch.stack([tokens(5, 10), tokens(5, 11)], dim=1)
    torch.testing.assert_close(compiled.extend(block), plain.extend(block), rtol=1e-5, atol=1e-5)
    grow(range(12, 14))
    for session, how in ((plain, None), (compiled, Compiling("aot_eager", 12))):
        with compiling(how):
            session.join(owner.start(prompt_batch([[5]]), 1))
    grow(range(14, 16))
    assert isinstance(compiled, fixed_session.FixedSession)
    assert compiled._fixed is not None  # it was compiled to the end
    assert len(fixed_session._PASSES[owner.model]) == 1


def test_passes_are_compiled_once_per_bucket_of_shapes() -> None:
    owner = model()
    for rows, length, new in [(3, 4, 12), (4, 9, 40), (3, 30, 8), (4, 1, 3), (3, 40, 30), (4, 50, 40), (3, 64, 1)]:
        prompts = prompt_batch([[3] * (length - row % 2) for row in range(rows)])
        session = start(owner, prompts, 1, "counted_pass", new)
        for time in range(3):
            session.advance(tokens(rows, time))
    # Rows in buckets of 3 and 4, columns of 64 and 96.
    assert len(GRAPHS) == 4
    # More tokens than were foreseen: a larger bucket, which is known by now.
    plain, session = owner.start(prompts, 1), start(owner, prompts, 1, "counted_pass", 1)
    for time in range(35):
        for one in (plain, session):
            one.advance(tokens(3, time))
        check(session, plain)
    assert len(GRAPHS) == 5  # 128 columns


def test_weights_that_change_and_modes_that_drop_out_are_followed() -> None:
    owner, prompts = model(), prompt_batch(PROMPTS)
    for step in range(2):
        owner.model.train(bool(step))
        plain, session = owner.start(prompts, 1), start(owner, prompts, 1, "counted_pass")
        for time in range(3):
            for one in (plain, session):
                one.advance(tokens(3, time))
            check(session, plain)
        with torch.no_grad():
            for parameter in owner.model.parameters():
                parameter.mul_(1.1)
    assert owner.model.training
    assert len(GRAPHS) == 1


def small(family: str, **options: object) -> LanguageModel:
    sizes = {"vocab_size": 11, "hidden_size": 16, "num_hidden_layers": 1, "eos_token_id": None, "pad_token_id": 0}
    return LanguageModel(AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **sizes, **options)).eval())


WINDOW = {"num_attention_heads": 2, "intermediate_size": 32, "num_key_value_heads": 1, "sliding_window": 16}


@pytest.mark.parametrize(
    ("make", "backend", "why"),
    [
        (model, "broken_pass", "no compiler here"),
        (model, "wrong_pass", "it says something else"),
        (lambda: small("mistral", **WINDOW), "counted_pass", "a sliding window"),
        (lambda: small("mamba"), "counted_pass", "a recurrent state"),
    ],
    ids=["broken", "wrong", "window", "state"],
)
def test_what_cannot_be_compiled_is_read_plainly_with_one_notice(make, backend, why, capsys) -> None:
    owner, prompts = make(), prompt_batch(PROMPTS)
    for _ in range(2):
        plain, session = owner.start(prompts, 2), start(owner, prompts, 2, backend)
        for time in range(3):
            for one in (plain, session):
                one.advance(tokens(6, time))
            assert torch.equal(session.logits, plain.logits)
    said = capsys.readouterr().err
    assert said.count("notice: ") == 1
    assert f"{owner.capabilities.family} is not compiled for decoding" in said
    assert why in said


def test_streamed_parameters_are_not_compiled(monkeypatch, capsys) -> None:
    owner = model()
    monkeypatch.setattr(fixed_session, "in_parts", lambda model: model is owner.model)
    start(owner, prompt_batch(PROMPTS), 1, "counted_pass").advance(tokens(3, 0))
    assert GRAPHS == []
    assert "its parameters are spread over processes" in capsys.readouterr().err


def read(owner: LanguageModel, prompts: PromptBatch, time: int = 3) -> DecodeSession:
    session = start(owner, prompts, 1, "counted_pass")
    for step in range(time):
        session.advance(tokens(len(prompts), step))
    return session


def addresses(session: DecodeSession) -> list[int]:
    assert isinstance(session, fixed_session.FixedSession)
    assert session._fixed is not None
    return [layer.keys.data_ptr() for layer in session._fixed.cache.layers]


def test_a_rollout_takes_over_the_tensors_that_the_last_one_left() -> None:
    """A CUDA graph belongs to them: with new ones it is recorded anew for every rollout."""
    owner, prompts = model(), prompt_batch(PROMPTS)
    first = read(owner, prompts)
    beside = read(owner, prompts)
    there = addresses(first)
    assert not set(there) & set(addresses(beside))
    check(beside, first)
    for layer in first._fixed.cache.layers:  # a rollout that has diverged
        layer.keys.fill_(torch.nan)
        layer.values.fill_(torch.nan)
    del first, layer
    other = prompt_batch([[5, 6], [3], [9, 9, 9]], pads=1)
    again, plain = read(owner, other), owner.start(other, 1)
    for step in range(3):
        plain.advance(tokens(3, step))
    assert addresses(again) == there
    check(again, plain)
    assert len(GRAPHS) == 1


def test_what_the_compiler_leaves_behind_holds_no_tensors(monkeypatch) -> None:
    """They would be there twice until everything is collected, and the next rollout's graphs be recorded anew."""
    monkeypatch.setattr(torch, "compile", leaving)
    owner, prompts = model(), prompt_batch(PROMPTS)
    with nothing_collected():
        first = read(owner, prompts)
        there = addresses(first)
        del first
        assert addresses(read(owner, prompts)) == there


def test_tensors_that_a_session_goes_on_with_are_left_to_nobody() -> None:
    owner, prompts = model(), prompt_batch(PROMPTS)
    first = read(owner, prompts)
    first.rewind(torch.tensor([1, 0, 0]))  # hands its tokens back to the growing cache
    said = first.logits.clone()
    second = read(owner, prompt_batch([[9], [8], [7]]))
    plain = owner.start(prompts, 1)
    for step in range(3):
        plain.advance(tokens(3, step))
    plain.rewind(torch.tensor([1, 0, 0]))
    assert torch.equal(first.logits, said)
    for session in (first, plain):
        session.extend(torch.full((3, 2), 4))
    check(first, plain)
    del second
    kept = fixed_rooms._FREE[owner.model].copy()
    del first, session
    assert fixed_rooms._FREE[owner.model] == kept  # only what the second has left


def test_tensors_of_inference_mode_stay_there() -> None:
    owner, prompts = model(), prompt_batch(PROMPTS)
    with torch.inference_mode():
        read(owner, prompts)
    with torch.no_grad():
        session, plain = read(owner, prompts), owner.start(prompts, 1)
    for step in range(3):
        plain.advance(tokens(3, step))
    check(session, plain)


def test_few_tensors_are_kept() -> None:
    owner = model()
    for rows in (1, 2, 3, 4, 6):
        read(owner, prompt_batch([[3]] * rows))
    free = fixed_rooms._FREE[owner.model]
    assert [room[0] for room in free] == [4, 6]
    assert len(free) == fixed_rooms.KEPT
