"""Against rouge-score's table of numbers, which takes the same one of several subsequences."""

import random
import time

from rouge_score.rouge_scorer import _lcs_table, lcs_ind

from qstar_pl.evaluation.metrics.longest_common import common_indices, common_length, places


def test_it_is_the_subsequence_of_the_table():
    draw = random.Random(0)
    for letters in ("ab", "abc", "abcdefgh"):
        for _ in range(300):
            a, b = (draw.choices(letters + "x", k=draw.randint(0, 70)) for _ in range(2))
            assert common_length(a, b) == _lcs_table(a, b)[-1][-1]
            assert common_indices(a, places(b), b) == list(lcs_ind(a, b))[::-1]


def test_ten_thousand_words_take_no_time():
    draw = random.Random(0)
    a, b = (draw.choices(range(500), k=10_000) for _ in range(2))
    start = time.process_time()
    found = common_indices(a, places(b), b)
    assert len(found) == common_length(a, b)
    assert time.process_time() - start < 3  # 0.1 s; the table takes 20 s and 800 MB
    assert found == sorted(set(found), reverse=True)
