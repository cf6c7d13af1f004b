from dataclasses import replace

import pytest
import torch
from reference.tiny_models import prompt_batch, word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models.tokenizers import load_tokenizer
from qstar_pl.targets.prompt_template import PromptTemplate
from qstar_pl.types import Example, PromptBatch, Turn

CHAT = "{% for m in messages %}w9 {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}w10{% endif %}"


def rows(prompts: PromptBatch) -> list[list[int]]:
    """What counts of every row; what does not must lie on the left."""
    mask = prompts.prompt_mask
    assert torch.equal(mask, mask.sort(dim=1, stable=True).values)
    return [ids[m].tolist() for ids, m in zip(prompts.prompt_ids, mask, strict=True)]


def test_the_bare_place_is_the_prompt_itself() -> None:
    tokenizer = load_tokenizer("tiny")
    texts = ["\n\nHuman: why  is that , so?\n\nAssistant:", "\n\nHuman: é ✓ 12<|end|>\n\nAssistant:"]
    prompts = prompt_batch([tokenizer(text)["input_ids"] for text in texts], pads=3, pad_id=0)
    assert rows(PromptTemplate("{prompt}").apply(prompts, tokenizer)) == rows(prompts)


def test_a_text_is_encoded_as_a_whole() -> None:
    tokenizer = load_tokenizer("tiny")
    prompts = prompt_batch([tokenizer("\n\nHuman: the cat")["input_ids"], tokenizer("\n\nHuman: a")["input_ids"]])
    applied = PromptTemplate("\n\nSystem: be kind{prompt}<|end|>").apply(prompts, tokenizer)
    text = ["\n\nSystem: be kind\n\nHuman: the cat<|end|>", "\n\nSystem: be kind\n\nHuman: a<|end|>"]
    assert rows(applied) == [tokenizer(t)["input_ids"] for t in text]
    assert torch.equal(applied.keys, prompts.keys)


@pytest.mark.parametrize("said", ["<|end|>", "stop <|end|><|end|> here", "<|pad|>"])
@pytest.mark.parametrize(
    "template", ["Be kind. {prompt}<|end|>", "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}"]
)
def test_names_of_control_tokens_that_somebody_wrote_stay_text(said: str, template: str) -> None:
    tokenizer = load_tokenizer("tiny")
    ids = tokenizer(said, split_special_tokens=True)["input_ids"]
    prompts = replace(prompt_batch([ids]), examples=(Example(0, (Turn("user", said),)),))
    (read,) = rows(PromptTemplate(template).apply(prompts, tokenizer))
    control = set(tokenizer.all_special_ids)
    assert [i for i in read if i in control] == [tokenizer.eos_token_id], "the template's own alone"
    assert tokenizer.decode(read).removeprefix("Be kind. ") == f"{said}<|end|>"


def test_control_tokens_of_the_policys_prompt_stay_tokens() -> None:
    tokenizer = load_tokenizer("tiny")
    ids = [*tokenizer("Hi<|end|>", split_special_tokens=True)["input_ids"], tokenizer.eos_token_id]
    (read,) = rows(PromptTemplate("{prompt} so").apply(prompt_batch([ids]), tokenizer))
    assert read.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(read) == "Hi<|end|><|end|> so"


def test_bos_stays_in_front() -> None:
    tokenizer = word_tokenizer()
    tokenizer.bos_token = "<eos>"
    assert rows(PromptTemplate("w9 {prompt}").apply(prompt_batch([[1, 3, 4], [5]]), tokenizer)) == [
        [1, 9, 3, 4],
        [9, 5],
    ]


def test_a_chat_template_reads_the_turns() -> None:
    examples = tuple(
        Example(key=i, turns=tuple(Turn("user", text) for text in texts))
        for i, texts in enumerate([["w3", "w4"], ["w5"]])
    )
    prompts = replace(prompt_batch([[8], [8]]), examples=examples)
    assert rows(PromptTemplate(CHAT).apply(prompts, word_tokenizer())) == [[9, 3, 9, 4, 10], [9, 5, 10]]


@pytest.mark.parametrize("text", ["", "no place", "{prompt} twice {prompt}", "{ prompt }"])
def test_a_template_needs_a_place_for_the_prompt(text: str) -> None:
    with pytest.raises(UserError, match=r"target\.prompt_template must hold \{prompt\} once or be a chat template"):
        PromptTemplate(text)


def test_what_cannot_be_rendered_is_one_line() -> None:
    example = Example(key=0, turns=(Turn("user", "w3"),))
    prompts = replace(prompt_batch([[8]]), examples=(example,))
    with pytest.raises(UserError, match=r"prompt_template must render the dialogue: no"):
        PromptTemplate("{{ raise_exception('no') }}").apply(prompts, word_tokenizer())
    with pytest.raises(UserError, match="must give every prompt a token"):
        PromptTemplate("{{ '' }}").apply(prompts, word_tokenizer())
    with pytest.raises(UserError, match="must give every prompt a token"):
        PromptTemplate(CHAT).apply(prompt_batch([[8]]), word_tokenizer())  # no dialogue is known
