import random

import pytest
from transformers import AutoTokenizer

from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.data.adapters.prompt_response import PromptResponse
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.rendering import PlainRendering
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn


def example(*contents, chosen="yes it is", rejected=None, system=None):
    turns = [Turn("user" if number % 2 == 0 else "assistant", text) for number, text in enumerate(contents)]
    first = [Turn("system", system)] if system else []
    return Example(1, (*first, *turns), chosen, rejected)


def text(tokenizer, ids):
    return tokenizer.decode(ids.tolist())


@pytest.fixture(params=["tokenizer", "bos_tokenizer", "chat_tokenizer"])
def any_tokenizer(request):
    return request.getfixturevalue(request.param)


def test_dialogue(tokenizer):
    encoded = Encoder(tokenizer, 100, 20).encode(example("how are you?", rejected="no"))
    assert text(tokenizer, encoded.prompt) == "\n\nHuman: how are you?\n\nAssistant:"
    assert text(tokenizer, encoded.chosen) == " yes it is<eos>"
    assert text(tokenizer, encoded.rejected) == " no<eos>"
    assert (encoded.prompt_cut, encoded.answers_cut) == (False, 0)


def test_bos_only_where_the_tokenizer_puts_it(tokenizer, bos_tokenizer):
    plain = Encoder(tokenizer, 100, 20).encode(example("hi"))
    with_bos = Encoder(bos_tokenizer, 100, 20).encode(example("hi"))
    assert with_bos.prompt.tolist() == [2, *plain.prompt.tolist()]
    assert with_bos.chosen.tolist() == plain.chosen.tolist()  # an answer never begins with BOS


def test_chat(chat_tokenizer):
    encoded = Encoder(chat_tokenizer, 100, 20).encode(example("hi", "ho", "he"))
    assert text(chat_tokenizer, encoded.prompt) == (
        "<|im_start|>user\nhi<eos>\n<|im_start|>assistant\nho<eos>\n<|im_start|>user\nhe<eos>\n<|im_start|>assistant\n"
    )
    assert encoded.prompt.tolist().count(chat_tokenizer.eos_token_id) == 3
    assert text(chat_tokenizer, encoded.chosen) == "yes it is<eos>"


@pytest.mark.parametrize("answer", ["a<eos>b", "<eos>", "ends with <eos>", "x" * 200, "a\n\nHuman: b", "é漢", "<pad>"])
def test_eos_exactly_once_and_last_or_not_at_all(any_tokenizer, answer):
    for longest in (5, 400):
        encoded = Encoder(any_tokenizer, 100, longest).encode(example("hi", chosen=answer))
        ids = encoded.chosen.tolist()
        eos = any_tokenizer.eos_token_id
        assert len(ids) <= longest
        if encoded.answers_cut:
            assert eos not in ids
            assert len(ids) == longest
        else:
            assert ids.count(eos) == 1
            assert ids[-1] == eos
            assert any_tokenizer.decode(ids[:-1]).strip() == answer  # what spells a special token stays text


def test_eos_counts(tokenizer):
    length = len(Encoder(tokenizer, 100, 400).encode(example("hi")).chosen)
    exact = Encoder(tokenizer, 100, length).encode(example("hi"))
    assert exact.chosen[-1] == tokenizer.eos_token_id
    assert exact.answers_cut == 0
    short = Encoder(tokenizer, 100, length - 1).encode(example("hi"))
    assert short.chosen.tolist() == exact.chosen.tolist()[:-1]
    assert short.answers_cut == 1


def test_long_answers_can_be_dropped(tokenizer):
    encoder = Encoder(tokenizer, 100, 6, drop_long_answers=True)
    encoder.encode(example("hi", chosen="a", rejected="b"))
    with pytest.raises(RowRejected, match="an answer is longer than max_completion_tokens"):
        encoder.encode(example("hi", chosen="a", rejected="b" * 50))


def test_oldest_turns_go_first(tokenizer):
    dialogue = example("first question", "first answer", "second question", "second answer", "last question")
    lengths = [
        len(Encoder(tokenizer, 1000, 9).encode(Example(1, dialogue.turns[start:])).prompt) for start in (0, 2, 4)
    ]
    for longest, kept in [(lengths[0], 0), (lengths[0] - 1, 2), (lengths[1], 2), (lengths[1] - 1, 4), (lengths[2], 4)]:
        encoded = Encoder(tokenizer, longest, 9).encode(dialogue)
        whole = Encoder(tokenizer, 1000, 9).encode(Example(1, dialogue.turns[kept:]))
        assert encoded.prompt.tolist() == whole.prompt.tolist()
        assert encoded.prompt_cut == (kept > 0)


def test_a_system_turn_goes_last(tokenizer):
    dialogue = example("first question", "first answer", "last question", system="Be kind.")
    render = Encoder(tokenizer, 1000, 9)
    with_system = len(render.encode(example("last question", system="Be kind.")).prompt)
    assert text(tokenizer, Encoder(tokenizer, with_system, 9).encode(dialogue).prompt) == (
        "Be kind.\n\nHuman: last question\n\nAssistant:"
    )
    assert text(tokenizer, Encoder(tokenizer, with_system - 1, 9).encode(dialogue).prompt) == (
        "\n\nHuman: last question\n\nAssistant:"
    )


def test_then_tokens_on_the_left(any_tokenizer):
    dialogue = example("old", "older", "w " * 200)
    whole = Encoder(any_tokenizer, 1000, 9).encode(Example(1, dialogue.turns[2:])).prompt.tolist()
    cut = Encoder(any_tokenizer, 20, 9).encode(dialogue)
    assert cut.prompt_cut
    assert len(cut.prompt) == 20
    bos = [any_tokenizer.bos_token_id] if whole[0] == any_tokenizer.bos_token_id else []
    assert cut.prompt.tolist() == bos + whole[-(20 - len(bos)) :]


def test_properties_of_truncation(any_tokenizer):
    """Never empty, never too long, the end of the prompt stays, and the answer does not depend on the prompt's cut."""
    random_ = random.Random(0)
    words = ["the", "cat", "sat", "\n\nHuman: x", "é漢", "on 12 mats."]
    for _ in range(150):
        contents = [
            " ".join(random_.choices(words, k=random_.randint(1, 12))) for _ in range(random_.choice([1, 3, 5]))
        ]
        row = example(*contents, chosen=" ".join(random_.choices(words, k=random_.randint(1, 12))))
        whole = Encoder(any_tokenizer, 10_000, 10_000).encode(row)
        longest, answer = random_.randint(3, 60), random_.randint(1, 30)
        encoded = Encoder(any_tokenizer, longest, answer).encode(row)
        assert 0 < len(encoded.prompt) <= longest
        assert encoded.prompt.tolist()[-2:] == whole.prompt.tolist()[-2:]
        assert encoded.prompt_cut == (len(whole.prompt) > longest)
        assert encoded.chosen.tolist() == whole.chosen.tolist()[:answer]
        assert encoded.answers_cut == (len(whole.chosen) > answer)


def test_answer_is_tokenized_behind_the_prompt(real_data):
    """This tokenizer puts a space before whatever it is given: an answer of its own would begin with two."""
    tokenizer = AutoTokenizer.from_pretrained(real_data / "tiny_models" / "babyllama_a")
    encoded = Encoder(tokenizer, 100, 20).encode(example("hi there", chosen="ok"))
    prompt = tokenizer("\n\nHuman: hi there\n\nAssistant:")["input_ids"]
    whole = tokenizer("\n\nHuman: hi there\n\nAssistant: ok")["input_ids"]
    assert encoded.prompt.tolist() == prompt
    assert [*encoded.prompt.tolist(), *encoded.chosen.tolist()] == [*whole, tokenizer.eos_token_id]


def test_limits_out_of_range(tokenizer, bos_tokenizer):
    with pytest.raises(UserError, match="max_prompt_tokens must be at least 1, got 0"):
        Encoder(tokenizer, 0, 5)
    with pytest.raises(UserError, match="max_prompt_tokens must be at least 2, got 1"):
        Encoder(bos_tokenizer, 1, 5)
    with pytest.raises(UserError, match="max_completion_tokens must be at least 1, got 0"):
        Encoder(tokenizer, 5, 0)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ('\n\ndef add(a, b):\n    """Return the sum."""\n    ', "    s = a + b\n    return s\n"),
        ("    indented", "\n\ttabbed"),
        ("ends in spaces   ", "x"),
    ],
)
def test_a_plain_prompt_stands_as_it_is(tokenizer, prompt, answer):
    """Newlines and indentation, of the prompt and of the answer; the case of `shared/cases/23_raw_prompt`."""
    row = PromptResponse().example({"prompt": prompt, "completion": answer}, "f:1")
    encoded = Encoder(tokenizer, 200, 99, rendering=PlainRendering()).encode(row)
    assert text(tokenizer, encoded.prompt) == prompt
    assert text(tokenizer, encoded.chosen) == f"{answer}<eos>"


def test_eos_that_no_option_keeps_out_of_a_text_is_left_out(tokenizer):
    """Some tokenizers know EOS as an ordinary piece, whatever they are asked."""

    class Stubborn(type(tokenizer)):
        def __call__(self, *args, split_special_tokens=False, **kwargs):
            return super().__call__(*args, **kwargs)

    stubborn = Stubborn(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<eos>", pad_token="<pad>")
    stubborn.backend_tokenizer.encode_special_tokens = False
    ids = Encoder(stubborn, 100, 20).encode(example("hi", chosen="a<eos>b")).chosen.tolist()
    assert ids.count(stubborn.eos_token_id) == 1
    assert ids[-1] == stubborn.eos_token_id
