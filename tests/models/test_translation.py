import pytest
from reference.chat_tokenizers import CHATML, make_tokenizer
from reference.tiny_models import word_tokenizer

from qstar_pl.models.tokenizers import load_tokenizer
from qstar_pl.models.translation import Translation

DIALOGUE = "<|im_start|>user\nthe cat sat on the mat<eos>\n<|im_start|>assistant\n  I am fine , thank you .<eos>"


def test_a_tokenizer_to_itself_is_the_identity() -> None:
    tokenizer = load_tokenizer("tiny")
    ids = tokenizer("\n\nHuman: why  is that , so?\n\nAssistant: é ✓ 12<|end|>")["input_ids"]
    assert Translation.between(tokenizer, tokenizer).ids(ids) == ids


def test_tokens_that_were_sampled_stay_the_tokens_that_are_read() -> None:
    """A word in letters, which no tokenizer would make of the text, is not put together again."""
    tokenizer, other = load_tokenizer("tiny"), load_tokenizer("tiny")
    other.add_tokens(["<|unused|>"])
    letters = [i for letter in "house" for i in tokenizer(letter)["input_ids"]]
    assert letters != tokenizer("house")["input_ids"]
    assert Translation.between(tokenizer, other).ids(letters) == letters
    assert Translation.between(other, tokenizer).ids(letters) == letters


def test_another_tokenizer_reads_the_text_with_its_end_and_markers() -> None:
    policy, other = make_tokenizer(chat_template=CHATML), load_tokenizer("tiny")
    ids = policy(DIALOGUE)["input_ids"]
    assert ids.count(policy.eos_token_id) == 2
    read = Translation.between(policy, other).ids(ids)
    text = DIALOGUE.replace("<eos>", other.eos_token)
    assert other.decode(read, clean_up_tokenization_spaces=False) == text
    assert read.count(other.eos_token_id) == 2, "EOS is the other's EOS"
    assert read[-1] == other.eos_token_id


def test_an_answer_that_was_cut_gets_no_end() -> None:
    policy, other = make_tokenizer(), load_tokenizer("tiny")
    read = Translation.between(policy, other).ids(policy("the cat sat")["input_ids"])
    assert other.eos_token_id not in read
    assert other.decode(read) == "the cat sat"


def test_markers_of_one_name_are_the_others_markers_and_names_in_texts_are_not() -> None:
    policy = make_tokenizer(chat_template=CHATML)
    other = load_tokenizer("tiny")
    other.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    marker = other.convert_tokens_to_ids("<|im_start|>")
    translation = Translation.between(policy, other)
    assert translation.ids(policy("<|im_start|>user")["input_ids"])[0] == marker
    spelled = policy("say <|im_start|> to me", split_special_tokens=True)["input_ids"]
    read = translation.ids(spelled)
    assert marker not in read
    assert other.decode(read) == "say <|im_start|> to me"


@pytest.mark.parametrize("bos", [True, False])
def test_bos_is_there_where_the_others_texts_have_one(bos: bool) -> None:
    other = make_tokenizer(bos=bos)
    read = Translation.between(load_tokenizer("tiny"), other).ids(load_tokenizer("tiny")("the cat")["input_ids"])
    assert (read[0] == other.bos_token_id) is bos
    with_bos = make_tokenizer(bos=True)
    again = Translation.between(with_bos, other).ids(with_bos("the cat")["input_ids"])
    assert again == other("the cat")["input_ids"] or not bos


def test_an_end_of_turn_becomes_the_others_end() -> None:
    """ChatML's <|im_end|> ends the answer; the other, without a chat template, ends with its EOS."""
    policy = make_tokenizer(chat_template=CHATML.replace("<eos>", "<|im_start|>"))
    other = word_tokenizer(vocab=40)
    ids = [*policy("the cat")["input_ids"], policy.convert_tokens_to_ids("<|im_start|>")]
    assert Translation.between(policy, other).ids(ids)[-1] == other.eos_token_id
