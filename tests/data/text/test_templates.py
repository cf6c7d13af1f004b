import pytest

from qstar_pl.data.text.chat import ChatTemplate
from qstar_pl.data.text.rendering import TokenizerRendering
from qstar_pl.data.text.templates import DialogueTemplate, PlainTemplate, dialogue_prompt
from qstar_pl.errors import UserError
from qstar_pl.types import Turn

TURNS = (Turn("user", "one"), Turn("assistant", "two"), Turn("user", "three"))


def test_dialogue_form(tokenizer):
    template = TokenizerRendering().template(tokenizer)
    assert isinstance(template, DialogueTemplate)
    assert template.prompt(TURNS) == "\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant:"
    assert template.completion(TURNS, "four") == " four"
    assert dialogue_prompt((Turn("system", "Be kind."), *TURNS[:1])) == "Be kind.\n\nHuman: one\n\nAssistant:"


def test_chat_template(chat_tokenizer):
    template = TokenizerRendering().template(chat_tokenizer)
    assert isinstance(template, ChatTemplate)
    assert template.prompt(TURNS[:1]) == "<|im_start|>user\none<eos>\n<|im_start|>assistant\n"
    # EOS and the newline behind it are the encoder's business and nobody's, respectively.
    assert template.completion(TURNS[:1], "four") == "four"


def test_chat_template_that_does_not_end_with_eos(templated):
    tokenizer = templated("{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }};{% endfor %}"
                          "{% if add_generation_prompt %}[assistant]{% endif %}")  # fmt: skip
    assert ChatTemplate(tokenizer).completion(TURNS, "four") == "four;"


def test_template_whose_answer_does_not_follow_the_prompt(templated):
    tokenizer = templated("{% for m in messages %}{{ m['content'] }}{% endfor %}"
                          "{% if add_generation_prompt %}[assistant]{% endif %}")  # fmt: skip
    with pytest.raises(UserError, match="tokenizer must have a chat template under which"):
        ChatTemplate(tokenizer).completion(TURNS, "four")


def test_template_that_refuses(templated):
    tokenizer = templated("{{ raise_exception('no system turns') }}")
    with pytest.raises(UserError, match=r"for the turns system, user: no system turns"):
        ChatTemplate(tokenizer).prompt((Turn("system", "x"), Turn("user", "y")))


@pytest.mark.parametrize(
    ("prompt", "answer", "text"),
    [
        ("TL;DR:", "short", "TL;DR: short"),
        ("def f():\n", "    return 1", "def f():\n    return 1"),
        ("def f():", "\n    return 1", "def f():\n    return 1"),
        ("ends with ", "a word", "ends with a word"),
    ],
)
def test_plain_text(prompt, answer, text):
    turns = (Turn("user", prompt),)
    assert PlainTemplate().prompt(turns) == prompt
    assert PlainTemplate().prompt(turns) + PlainTemplate().completion(turns, answer) == text


def test_plain_text_of_several_turns():
    assert PlainTemplate().prompt((Turn("system", "Be kind."), *TURNS)) == "Be kind.\n\none\n\ntwo\n\nthree"


def test_another_chat_template_than_the_tokenizers(chat_tokenizer):
    template = ChatTemplate(chat_tokenizer, "{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    assert template.prompt(TURNS) == "[one][two][three]"
