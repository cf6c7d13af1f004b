import pytest

from qstar_pl.data import ChatRendering, DialogueRendering, PlainRendering, TokenizerRendering
from qstar_pl.data.text.chat import ChatTemplate
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.templates import DialogueTemplate, PlainTemplate
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

TURNS = (Turn("user", "hi"),)
JINJA = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}{% if add_generation_prompt %}[{% endif %}"


def test_the_tokenizers_own_template_where_it_has_one(tokenizer, chat_tokenizer):
    assert TokenizerRendering().template(tokenizer) == DialogueTemplate()
    assert TokenizerRendering().template(chat_tokenizer) == ChatTemplate(chat_tokenizer)


def test_asked_for(tokenizer, chat_tokenizer, tmp_path):
    assert ChatRendering().template(chat_tokenizer) == ChatTemplate(chat_tokenizer)
    assert DialogueRendering().template(chat_tokenizer) == DialogueTemplate()
    assert PlainRendering().template(chat_tokenizer) == PlainTemplate()
    assert ChatRendering(JINJA).template(tokenizer).prompt(TURNS) == "[hi]["
    file = tmp_path / "x.jinja"
    file.write_text(JINJA)
    assert ChatRendering(str(file)).template(tokenizer) == ChatRendering(JINJA).template(tokenizer)


def test_what_is_missing(tokenizer, tmp_path):
    with pytest.raises(UserError, match="rendering must not be ChatRendering for a tokenizer without a chat template"):
        ChatRendering().template(tokenizer)
    with pytest.raises(UserError, match=r"rendering.chat_template must be Jinja or a file of it, got .*nothing.jinja"):
        ChatRendering(str(tmp_path / "nothing.jinja")).template(tokenizer)


def test_bos_goes_with_the_form_not_with_the_tokenizer(bos_tokenizer):
    """A chat template writes its own BOS; other forms need the tokenizer's, even where it has a template."""
    example = Example(1, TURNS, "yes")

    def prompt(rendering):
        return Encoder(bos_tokenizer, 100, 20, rendering=rendering).encode(example).prompt.tolist()

    assert prompt(PlainRendering())[0] == bos_tokenizer.bos_token_id
    assert bos_tokenizer.bos_token_id not in prompt(ChatRendering(JINJA))
    bos_tokenizer.chat_template = JINJA
    try:
        assert prompt(PlainRendering())[0] == bos_tokenizer.bos_token_id
    finally:
        bos_tokenizer.chat_template = None
