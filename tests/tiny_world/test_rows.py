import hashlib
import json
import os
import subprocess
import sys

import pytest

from qstar_pl.errors import UserError
from qstar_pl.tiny_world.rows import MAKERS, demonstrations, dialogues, posts, programs, shows_good_answer

MAKE = {"dialogue": dialogues, "summary": posts, "code": programs}
DIGEST = """
import hashlib, json
from qstar_pl.tiny_world import demonstrations, dialogues, posts, programs
rows = [dialogues(60, 3), posts(60, 3), programs(60, 3), demonstrations(60, 3, 0.4)]
print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())
"""


def test_same_bytes_in_every_process():
    digests = set()
    for hash_seed in ("0", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", DIGEST], env=environment, capture_output=True, check=True)
        digests.add(done.stdout.decode().strip())
    rows = [dialogues(60, 3), posts(60, 3), programs(60, 3), demonstrations(60, 3, 0.4)]
    assert digests == {hashlib.sha256(json.dumps(rows).encode()).hexdigest()}


@pytest.mark.parametrize("task", MAKE)
def test_fewer_rows_are_the_first_of_more(task):
    assert MAKE[task](20, 1) == MAKE[task](50, 1)[:20]


@pytest.mark.parametrize("task", MAKE)
def test_seeds_differ(task):
    assert MAKE[task](20, 1) != MAKE[task](20, 2)


@pytest.mark.parametrize("task", MAKE)
def test_many_different_prompts(task):
    assert len({row["prompt"] for row in MAKE[task](5000, 0)}) == 5000


@pytest.mark.parametrize("task", MAKE)
def test_rows_survive_json(task):
    rows = MAKE[task](50, 0)
    assert json.loads(json.dumps(rows)) == rows


def test_says_when_there_are_no_new_prompts(monkeypatch):
    monkeypatch.setitem(MAKERS, "code", lambda rng: {"prompt": rng.randint(1, 7)})
    with pytest.raises(UserError, match=r"count must be at most 7, .* got 8"):
        programs(8, 0)


@pytest.mark.parametrize("task", MAKE)
def test_demonstrations_show_the_asked_share_of_good_answers(task):
    pairs = MAKE[task](1000, 5)
    good = 0
    for pair, row in zip(pairs, demonstrations(1000, 5, 0.4, task), strict=True):
        assert row["rejected"] is None
        assert row["chosen"] == pair["chosen" if row["good"] else "rejected"]
        good += row["good"]
    # Standard deviation √(1000 · 0.4 · 0.6) = 15.5.
    assert 330 < good < 470


def test_the_extremes_of_quality():
    assert all(row["good"] for row in demonstrations(200, 5, 1.0))
    assert not any(row["good"] for row in demonstrations(200, 5, 0.0))


def test_a_higher_quality_keeps_the_good_answers():
    prompts = [row["prompt"] for row in dialogues(300, 0)]
    lower = {prompt for prompt in prompts if shows_good_answer(prompt, 0.3)}
    higher = {prompt for prompt in prompts if shows_good_answer(prompt, 0.6)}
    assert lower < higher


@pytest.mark.parametrize("quality", [-0.1, 1.1])
def test_refuses_an_impossible_quality(quality):
    with pytest.raises(UserError, match="quality must lie in"):
        demonstrations(5, 0, quality)


def test_refuses_an_unknown_task():
    with pytest.raises(UserError, match="task must be one of dialogue, summary, code, got poem"):
        demonstrations(5, 0, 1.0, "poem")
