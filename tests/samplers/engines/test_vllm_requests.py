"""What vLLM is asked, and what its replies become; without vLLM."""

import pytest
import torch
from reference.tiny_models import prompt_batch

from qstar_pl.errors import UserError
from qstar_pl.rollout import Truncation
from qstar_pl.rollout.streams import row_seed
from qstar_pl.samplers.engines import Job
from qstar_pl.samplers.engines.vllm_requests import answer_of, generated_of, parameters_of, prompts_of


def job(**truncation) -> Job:
    return Job(prompt_batch([[3, 4, 5], [6]], keys=[8, 9], pads=2), 2, 4, 12, Truncation(**truncation), (1,))


def test_every_row_is_a_request_without_pads() -> None:
    assert prompts_of(job()) == [[3, 4, 5], [3, 4, 5], [6], [6]]
    found = parameters_of(job(temperature=0.7), seeds=True)
    assert [one.pop("seed") for one in found] == [row_seed(4, key, sample) for key in (8, 9) for sample in (0, 1)]
    assert all(one == found[0] for one in found)
    assert parameters_of(job(temperature=0.7), seeds=False) == found
    common = {"max_tokens": 12, "stop_token_ids": [1], "ignore_eos": True, "detokenize": False}
    assert found[0] == {**common, "temperature": 0.7, "top_k": 0, "top_p": 1.0, "logprobs": 0}


@pytest.mark.parametrize(
    ("truncation", "wanted"),
    [({"top_k": 5}, (5, 1.0, 5)), ({"top_p": 0.9}, (0, 0.9, -1)), ({"top_k": 5, "top_p": 0.9}, (5, 0.9, 5))],
    ids=["top_k", "top_p", "both"],
)
def test_where_something_is_cut_all_that_is_left_is_asked_for(truncation, wanted) -> None:
    (found, *_) = parameters_of(job(**truncation), seeds=False)
    assert (found["top_k"], found["top_p"], found["logprobs"]) == wanted


def test_answers_become_rows() -> None:
    asked = job(top_k=2)
    nothing = -float("inf")
    answers = [
        answer_of([4, 1], [{4: -0.5, 3: -0.9}, {1: -0.1, 2: nothing}], asked),
        answer_of([5], [{5: -0.2, 3: -1.7}], asked),
        answer_of([6, 7, 8], [{6: 0.0, 2: nothing}, {7: -0.3, 4: -1.3}, {8: 0.0, 3: nothing}], asked),
        answer_of([1], [{1: -2.0, 4: -0.1}], asked),
    ]
    found = generated_of(answers, asked)
    assert found.token_ids.tolist() == [[4, 1, 0], [5, 0, 0], [6, 7, 8], [1, 0, 0]]
    assert found.mask.sum(-1).tolist() == [2, 1, 3, 1]
    assert found.ended_mask.tolist() == [True, False, False, True]
    torch.testing.assert_close(found.logprobs[0], torch.tensor([-0.5, -0.1, 0.0]))
    assert found.kept.counts.tolist() == [[2, 1, 0], [2, 0, 0], [1, 2, 1], [2, 0, 0]]
    rows, times = torch.tensor([0, 2]), torch.tensor([1, 1])
    assert found.kept.mask_at(rows, times, 9).nonzero().tolist() == [[0, 1], [1, 4], [1, 7]]
    assert generated_of([answer._replace(kept=None) for answer in answers], job()).kept is None


def test_no_log_probability_is_made_up() -> None:
    for steps in ([], [{3: -0.1}], [{4: -0.1}, {5: -0.1}]):
        with pytest.raises(UserError, match="engine must give the log-probability of every token"):
            answer_of([4], steps, job())
