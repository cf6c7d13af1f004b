"""Against a computation by hand with a tiny random encoder, and torchmetrics' own, pair by pair."""

from pathlib import Path

import pytest
import torch
from reference.texts import answers, numbers, part, rows_of
from torchmetrics.functional.text import bert_score as of_torchmetrics
from transformers import BertConfig, BertModel, BertTokenizerFast

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import BERTScore
from qstar_pl.evaluation.metrics.bert_score import NAMES, read_baseline

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "##s", "ion"]
WORDS += ["the", "cat", "sat", "on", "a", "mat", "dog", "ran", "far", "away", "from", "here", "now"]
TEXTS = ["the cat sat on a mat", "dogs ran", "a cat ran far away from here now", "mat", "", "zebra " * 40]
REFERENCES = [
    ["a cat on the mat", "the dog sat on a mat now"],
    ["the dogs ran away"],
    ["cats ran far"],
    [],
    ["the cat"],
    ["here"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **sizes)).save_pretrained(place)
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)}, model_max_length=32)
    assert tokenizer.tokenize("the cats ran to it") == ["the", "cat", "##s", "ran", "[UNK]", "[UNK]"]
    tokenizer.save_pretrained(place)
    return place


def by_hand(folder: Path, answer: str, reference: str, layer: int) -> list[float]:
    """Precision, recall and F1 of one pair, one text at a time and without padding."""
    tokenizer, model = BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder).eval()

    def embedded(text: str) -> list[torch.Tensor]:
        ids = tokenizer(text, truncation=True, max_length=32)["input_ids"]
        with torch.no_grad():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]
        return [one / one.norm() for one in states[1:-1]]  # without [CLS] and [SEP]

    mine, other = embedded(answer), embedded(reference)
    if not mine or not other:
        return [0.0, 0.0, 0.0]
    precision = sum(max(float(one @ two) for two in other) for one in mine) / len(mine)
    recall = sum(max(float(one @ two) for one in mine) for two in other) / len(other)
    return [precision, recall, 2 * precision * recall / (precision + recall)]


@pytest.mark.parametrize("layer", [None, 1, 0])
def test_by_hand(folder: Path, layer: int | None):
    metric = BERTScore(str(folder), layer=layer, batch_size=2)
    metric.build(None)
    found = rows_of(metric, answers(TEXTS, REFERENCES))
    for row, (text, references) in enumerate(zip(TEXTS, REFERENCES, strict=True)):
        each = [by_hand(folder, text, one, 3 if layer is None else layer) for one in references]
        wanted = [max(column) for column in zip(*each, strict=True)] if each else [None] * 3
        assert [found[name][row] for name in NAMES] == pytest.approx(wanted, abs=1e-6)


def test_torchmetrics_agrees_pair_by_pair(folder: Path):
    # Of a batch it mixes up the rows, which it sorts by length and puts back by the wrong permutation.
    tokenizer, model = BertTokenizerFast.from_pretrained(folder), BertModel.from_pretrained(folder)
    metric = BERTScore(str(folder))
    metric.build(None)
    found = rows_of(metric, answers(TEXTS[:3], REFERENCES[:3]))
    for row in range(3):
        each = []
        for reference in REFERENCES[row]:
            values = of_torchmetrics(
                [TEXTS[row]], [reference], model=model, user_tokenizer=tokenizer, num_layers=3, max_length=32
            )
            each.append([float(values[key]) for key in ("precision", "recall", "f1")])
        wanted = [max(column) for column in zip(*each, strict=True)]
        assert [found[name][row] for name in NAMES] == pytest.approx(wanted, abs=1e-6)


def test_means_whatever_the_batches(folder: Path):
    metric = BERTScore(str(folder), max_length=8)
    metric.build(None)
    whole = answers(TEXTS, REFERENCES)
    one = numbers(metric, whole)
    assert set(one) == set(NAMES)
    assert numbers(metric, part(whole, slice(0, 2)), part(whole, slice(2, 6))) == pytest.approx(one, abs=1e-7)
    assert numbers(metric, part(whole, slice(3, 4))) == {}
    same = answers(["the cat sat"], [["the cat sat"]])
    assert numbers(metric, same) == pytest.approx(dict.fromkeys(NAMES, 1.0), abs=1e-6)


def test_what_is_unrelated_becomes_zero(folder: Path, tmp_path: Path):
    (tmp_path / "baseline.tsv").write_text("LAYER,P,R,F\n0,0.1,0.2,0.3\n3,0.5,0.25,0.4\n")
    plain, rescaled = BERTScore(str(folder)), BERTScore(str(folder), baseline=str(tmp_path / "baseline.tsv"))
    for metric in (plain, rescaled):
        metric.build(None)
    whole = answers(TEXTS, REFERENCES)
    before, after = numbers(plain, whole), numbers(rescaled, whole)
    for name, unrelated in zip(NAMES, (0.5, 0.25, 0.4), strict=True):
        assert after[name] == pytest.approx((before[name] - unrelated) / (1 - unrelated), abs=1e-9)
    with pytest.raises(UserError, match="three numbers below 1 for layer 2, got no line of it in"):
        read_baseline(tmp_path / "baseline.tsv", 2)
    with pytest.raises(UserError, match="baseline must be a file with lines LAYER,P,R,F, got missing"):
        read_baseline(Path("missing"), 2)


def test_it_is_loaded_once_and_is_not_of_the_metric_before_that(folder: Path):
    metric = BERTScore(str(folder))
    assert metric.models() == []
    with pytest.raises(RuntimeError, match="build must be called"):
        metric.scores(answers(["x"], [["x"]]))
    metric.build(None)
    assert metric.models()[0] is metric.models()[0]
    assert metric.expensive


def test_mistakes(folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"layer must lie in \[0, 3\] for this model, got 4"):
        BERTScore(str(folder), layer=4).build(None)
    with pytest.raises(UserError, match="model must lead to a tokenizer, got 'no/where': it is neither a folder here"):
        BERTScore("no/where").build(None)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="JSON"):
        BERTScore(str(tmp_path)).build(None)
    BertModel.from_pretrained(folder).save_pretrained(tmp_path / "alone")
    with pytest.raises(UserError, match=r"model must lead to a tokenizer, got .*alone"):
        BERTScore(str(tmp_path / "alone")).build(None)
    with pytest.raises(UserError, match="batch_size must be at least 1, got 0"):
        BERTScore(batch_size=0)
