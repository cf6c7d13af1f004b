"""The probability of a label is that of transformers' own pipeline; what is no trained classifier is refused."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    pipeline,
)

from qstar_pl.errors import UserError
from qstar_pl.evaluation.text_rewards import scorer_of
from qstar_pl.rewards import ClassifierReward
from qstar_pl.types import Example, Turn

WORDS = ["[PAD]", "[UNK]", "kind", "rude", "very", "you", "are", "what"]
LABELS = {0: "toxic", 1: "harmless", 2: "spam"}
EXAMPLE = Example(1, (Turn("user", "what are you"),))
TEXTS = ["you are very kind", "rude", "very very rude you are", "", "kind kind"]


def save_tokenizer(folder: Path, **special: str) -> None:
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", model_max_length=16, **special
    ).save_pretrained(folder)


def bert_config(**options) -> BertConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    return BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, id2label=LABELS, **sizes, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    BertForSequenceClassification(bert_config(initializer_range=1.0)).save_pretrained(place)
    save_tokenizer(place, pad_token="[PAD]")
    return place


def probabilities(reward: ClassifierReward, texts: list[str]) -> list[float]:
    return list(scorer_of(reward, None).scores([(EXAMPLE, text) for text in texts]))


def test_it_is_the_pipeline_s_probability(folder: Path) -> None:
    judge = pipeline("text-classification", str(folder), top_k=None, device="cpu")
    wanted = [{one["label"]: one["score"] for one in found} for found in judge([t for t in TEXTS if t])]
    for label in LABELS.values():
        got = probabilities(ClassifierReward(str(folder), label, rows_per_chunk=2), [t for t in TEXTS if t])
        assert got == pytest.approx([one[label] for one in wanted], abs=1e-6)


def test_harm_is_one_minus_and_a_pair_reads_the_prompt(folder: Path) -> None:
    good = probabilities(ClassifierReward(str(folder), "toxic"), TEXTS)
    assert probabilities(ClassifierReward(str(folder), "toxic", harmful=True), TEXTS) == pytest.approx(
        [1 - one for one in good]
    )
    with_prompt = probabilities(ClassifierReward(str(folder), "toxic", with_prompt=True), ["rude"])
    judge = pipeline("text-classification", str(folder), top_k=None, device="cpu")
    (found,) = judge([{"text": "what are you", "text_pair": "rude"}])
    assert with_prompt == pytest.approx([next(one["score"] for one in found if one["label"] == "toxic")], abs=1e-6)


def test_an_answer_beyond_the_context_loses_its_end(folder: Path) -> None:
    first, second = probabilities(ClassifierReward(str(folder), "spam"), ["kind " * 16, "kind " * 16 + "rude " * 40])
    assert first == pytest.approx(second)


def test_labels_that_do_not_exclude_each_other_and_a_model_without_pad(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(WORDS), n_positions=16, n_embd=16, n_layer=1, n_head=2, id2label=LABELS, bos_token_id=1,
        eos_token_id=1, problem_type="multi_label_classification", initializer_range=1.0,
    )  # fmt: skip
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    texts = [text for text in TEXTS if text]
    judge = pipeline("text-classification", str(tmp_path), top_k=None, device="cpu")
    wanted = [next(one["score"] for one in judge(text)[0] if one["label"] == "spam") for text in texts]
    assert probabilities(ClassifierReward(str(tmp_path), "spam"), texts) == pytest.approx(wanted, abs=1e-6)


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    label = "reward.label must be one of toxic, harmless, spam, which .* has, got 'rude'"
    absent = "reward.model must be a classifier of texts, got 'nowhere': no folder .*/nowhere, and from the hub: "
    for build, said in [
        (ClassifierReward(str(folder), "rude"), label),
        (ClassifierReward("nowhere", "rude"), absent),
    ]:
        with pytest.raises(UserError, match=said):
            build.build(None)
    BertModel(bert_config()).save_pretrained(tmp_path)
    save_tokenizer(tmp_path, pad_token="[PAD]")
    with pytest.raises(UserError, match=r"reward.model must be a trained classifier, got .*lack classifier"):
        ClassifierReward(str(tmp_path), "toxic").build(None)
    with pytest.raises(UserError, match="rows_per_chunk must be at least 1, got 0"):
        ClassifierReward("somewhere", "toxic", rows_per_chunk=0)
