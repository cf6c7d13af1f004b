"""What a word of the command line stands for."""

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluating import AnswersFile, DataAnswers, ModelAnswers
from qstar_pl.evaluating.sources import source_of
from qstar_pl.models import FromCheckpoint, Pretrained


@pytest.mark.parametrize(
    ("word", "source"),
    [
        ("chosen", DataAnswers("chosen")),
        ("rejected", DataAnswers("rejected")),
        ("a.jsonl", AnswersFile("a.jsonl")),
        ("folder/a.csv.gz", AnswersFile("folder/a.csv.gz")),
        ("runs/a/last.ckpt", ModelAnswers(FromCheckpoint("runs/a/last.ckpt"))),
        ("./folder", ModelAnswers(Pretrained("./folder", dtype="bfloat16"))),
        ("owner/name", ModelAnswers(Pretrained("owner/name", dtype="bfloat16"))),
        ("tiny/policy", ModelAnswers(Pretrained("tiny/policy", dtype="bfloat16"))),
    ],
)
def test_words(word, source):
    assert source_of(word, "answers", "bfloat16") == source


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("", "baseline must name a model, a file"),
        ("tiny/polcy", "baseline must be one of tiny/expert"),
        ("AnswerFile", "did you mean AnswersFile"),
    ],
)
def test_words_that_name_nothing(word, message):
    with pytest.raises(UserError, match=message):
        source_of(word, "baseline")
