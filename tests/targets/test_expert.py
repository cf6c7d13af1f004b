import re
from pathlib import Path

import pytest
import torch
from reference.renumbered import permutation, save_renumbered
from reference.sessions import walk
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from torch import nn

from qstar_pl.errors import UserError
from qstar_pl.generation.generator import InMemory
from qstar_pl.models import LanguageModel, NextToken, Pretrained
from qstar_pl.targets import Expert
from qstar_pl.targets.prompt_template import PromptTemplate


def expert_folder(folder: Path, vocab: int = 11) -> Path:
    random_model("llama", vocab=vocab, seed=4).float().save_pretrained(folder)
    word_tokenizer(folder, vocab=vocab)
    return folder


def test_an_expert_is_its_language_model_frozen(tmp_path: Path) -> None:
    expert = Expert(Pretrained(str(expert_folder(tmp_path))))
    assert not list(expert.parameters())  # nothing is loaded before build
    with pytest.raises(RuntimeError, match="build"):
        _ = expert.vocab_size
    expert.build(random_model(), word_tokenizer())
    nn.ModuleList([expert]).train()
    assert list(expert.parameters())
    assert not any(p.requires_grad for p in expert.parameters())
    assert not any(m.training for m in expert.expert.modules())
    assert isinstance(expert, NextToken)
    assert (expert.vocab_size, expert.eos_token_ids) == (11, (1,))

    model = LanguageModel(random_model("llama", seed=4).float())
    prompts = prompt_batch([[3, 4], [5]])
    torch.testing.assert_close(expert.start(prompts, 2).logits, model.start(prompts, 2).logits)
    given = (prompts, torch.tensor([0, 1]), torch.tensor([[6, 7], [8, 1]]), torch.ones(2, 2, dtype=torch.bool))
    torch.testing.assert_close(expert.completion_logits(*given), model.completion_logits(*given).detach())


def test_another_vocabulary_is_one_line(tmp_path: Path) -> None:
    expert = Expert(Pretrained(str(expert_folder(tmp_path, vocab=9))))
    message = "target.model must share the policy's vocabulary, got 9 tokens where the policy has 11"
    with pytest.raises(UserError, match=re.escape(message)):
        expert.build(random_model(), word_tokenizer())


def test_the_same_number_of_other_tokens_is_another_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="id 3 is 'w3' where the policy's is 'v3'"):
        Expert(Pretrained(str(expert_folder(tmp_path)))).build(random_model(), word_tokenizer(words="v"))


def test_a_padded_embedding_is_cut_to_the_policys_tokens(tmp_path: Path) -> None:
    expert_folder(tmp_path, vocab=16)
    word_tokenizer(tmp_path, vocab=11)
    expert = Expert(Pretrained(str(tmp_path)))
    expert.build(random_model(), word_tokenizer())
    assert expert.start(prompt_batch([[3]]), 1).logits.shape == (1, 11)


def test_two_real_llamas(real_data: Path) -> None:
    folder = real_data / "tiny_models"
    policy = Pretrained(str(folder / "babyllama_a"))
    expert = Expert(Pretrained(str(folder / "babyllama_b")))
    expert.build(policy.load(), policy.tokenizer())
    assert expert.vocab_size == 105
    assert expert.eos_token_ids == (1, 2)


def test_a_prompt_template_changes_the_prompt_and_nothing_else(tmp_path: Path) -> None:
    """Both ways of asking equal the bare language model on prompts that were written out by hand."""
    expert_folder(tmp_path)
    expert = Expert(Pretrained(str(tmp_path)), prompt_template="w9 {prompt} w10")
    expert.build(random_model(), word_tokenizer())
    bare = LanguageModel(random_model("llama", seed=4).float())
    prompts, by_hand = prompt_batch([[3, 4], [5]], pads=2), prompt_batch([[9, 3, 4, 10], [9, 5, 10]])
    session, expected = expert.start(prompts, 2), bare.start(by_hand, 2)
    torch.testing.assert_close(session.logits, expected.logits)
    token = torch.tensor([6, 7, 8, 3])
    session.advance(token)
    expected.advance(token)
    torch.testing.assert_close(session.logits, expected.logits)
    answer = (
        torch.tensor([1, 0, 1]),
        torch.tensor([[6, 7], [8, 1], [4, 0]]),
        torch.tensor([[1, 1], [1, 1], [1, 0]]) > 0,
    )
    given, wanted = expert.completion_logits(prompts, *answer), bare.completion_logits(by_hand, *answer).detach()
    torch.testing.assert_close(given[answer[2]], wanted[answer[2]])
    without = Expert(Pretrained(str(tmp_path)))
    without.build(random_model(), word_tokenizer())
    assert not torch.allclose(without.start(prompts, 2).logits, expert.start(prompts, 2).logits, atol=1e-2)


def test_prompts_are_rendered_once_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expert = Expert(Pretrained(str(expert_folder(tmp_path))), prompt_template="w9 {prompt}")
    expert.build(random_model(), word_tokenizer())
    calls = []
    original = PromptTemplate.apply
    monkeypatch.setattr(PromptTemplate, "apply", lambda *a: calls.append(1) or original(*a))
    prompts = prompt_batch([[3, 4], [5]])
    for _ in range(3):
        expert.start(prompts, 1)
    assert len(calls) == 1
    expert.start(prompt_batch([[3, 4], [5]]), 1)
    assert len(calls) == 2


@pytest.mark.parametrize(("family", "template"), [("gpt2", None), ("llama", None), ("gpt2", "w9 {prompt} w10")])
def test_other_ids_of_the_same_tokens_are_translated(tmp_path: Path, family: str, template: str | None) -> None:
    """The same expert under permuted ids says the same of every token, in either way of asking."""
    plain = Expert(InMemory(random_model(family, seed=4), word_tokenizer()), template)
    save_renumbered(random_model(family, seed=4), word_tokenizer(), tmp_path, permutation(11))
    other = Expert(Pretrained(str(tmp_path), dtype="float64"), template)
    for expert in (plain, other):
        expert.build(random_model(), word_tokenizer())
    assert other.model.tokenizer().get_vocab() != word_tokenizer().get_vocab()
    assert (other.vocab_size, other.eos_token_ids) == (11, (1,))
    prompts = prompt_batch([[3, 4], [5]])
    sessions = plain.start(prompts, 2), other.start(prompts, 2)
    torch.testing.assert_close(sessions[1].logits, sessions[0].logits)
    for session in sessions:
        session.advance(torch.tensor([6, 7, 8, 3]))
    torch.testing.assert_close(sessions[1].logits, sessions[0].logits)
    mask = torch.ones(2, 2, dtype=torch.bool)
    given = (prompts, torch.tensor([0, 1]), torch.tensor([[6, 7], [8, 1]]), mask)
    torch.testing.assert_close(other.completion_logits(*given), plain.completion_logits(*given))


def test_permuted_ids_beyond_the_embedding_are_one_line(tmp_path: Path) -> None:
    save_renumbered(random_model(vocab=11), word_tokenizer(), tmp_path, permutation(11))
    random_model(vocab=9).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="embedding of 9 rows"):
        Expert(Pretrained(str(tmp_path))).build(random_model(), word_tokenizer())


def test_blocks_and_rewinds_equal_the_one_token_path_behind_a_template_and_other_ids(tmp_path: Path) -> None:
    save_renumbered(random_model("llama", seed=4), word_tokenizer(), tmp_path, permutation(11))
    expert = Expert(Pretrained(str(tmp_path), dtype="float64"), "w9 {prompt} w10")
    expert.build(random_model(), word_tokenizer())
    assert expert.rewinds
    walk(expert, prompt_batch([[3, 4], [5]]), seed=5)
