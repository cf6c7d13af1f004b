import copy
import json
import pickle
import sys
import warnings
from pathlib import Path

import pytest
import torch
from reference.judged import rollout_of
from small_run import SMALL

from qstar_pl.errors import UserError
from qstar_pl.rewards import ExecutionReward
from qstar_pl.sandbox import Isolation, Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")
FUNCTION = {
    "task": "humaneval",
    "task_id": "T/0",
    "prompt": "def twice(x):\n",
    "entry_point": "twice",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 4\n",
    "canonical_solution": "    return 2 * x\n",
}
SCRIPT = {
    "task": "apps",
    "problem_id": 3,
    "input_output": json.dumps({"inputs": ["1\n", "2\n", "3\n", "4\n"], "outputs": ["2\n", "4\n", "6\n", "8\n"]}),
    "starter_code": "",
    "solutions": [],
}


@pytest.fixture(scope="module")
def reward():
    made = ExecutionReward(workers=2, limits=Limits(wall_s=5.0))
    yield made
    made.close()


ANSWERS = [
    "    return 2 * x",
    "    return x + 1",
    "```python\nn = int(input())\nprint(2 * n)\n```",
    "print(2 * min(int(input()), 3))",
    "raise SystemExit(0)",
]
INDEX = [0, 0, 1, 1, 1]


def test_one_for_a_program_that_passes(reward):
    rewards = reward.score(rollout_of([FUNCTION, SCRIPT], INDEX), ANSWERS)
    assert rewards.dtype == torch.float32
    assert rewards.tolist() == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_share_of_tests():
    reward = ExecutionReward(workers=1, share_of_tests=True, limits=Limits(wall_s=5.0))
    try:
        rewards = reward.score(rollout_of([FUNCTION, SCRIPT], INDEX), ANSWERS)
    finally:
        reward.close()
    assert rewards.tolist() == [1.0, 0.5, 1.0, 0.75, 0.0]


def test_examples_without_tests_are_a_mistake(reward):
    with pytest.raises(UserError, match="task"):
        reward.score(rollout_of([{}], [0]), ["x"])
    with pytest.raises(ValueError, match="zip"):
        reward.score(rollout_of([FUNCTION], [0, 0]), ["x"])


def test_broken_tests_are_reported(reward):
    with pytest.warns(UserWarning, match="tests of problem T/0 cannot be run"):
        assert reward.score(rollout_of([{**FUNCTION, "test": "x = 1"}], [0]), ["    return 1"]).tolist() == [0.0]


def test_copies_start_processes_of_their_own(reward):
    reward.score(rollout_of([FUNCTION], [0]), ANSWERS[:1])
    for other in (copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
        assert (other.workers, other.limits, other._pool) == (reward.workers, reward.limits, None)
        assert other.score(rollout_of([FUNCTION], [0]), ANSWERS[:1]).tolist() == [1.0]
        other.close()
        other.close()
    assert reward.score(rollout_of([FUNCTION], [0]), ANSWERS[:1]).tolist() == [1.0]


def test_warns_once_where_the_network_is_within_reach(monkeypatch):
    class Pool:
        isolation = Isolation(*[False] * 6)

        def __init__(self, *arguments):
            pass

        def judge(self, tasks, every_test):
            return []

    monkeypatch.setattr("qstar_pl.rewards.execution.ExecutionPool", Pool)
    reward = ExecutionReward()
    with pytest.warns(UserWarning, match="not isolated from the network"):
        reward.score(rollout_of([FUNCTION], []), [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reward.score(rollout_of([FUNCTION], []), [])


def test_programs_train_with_it_by_default(qstar):
    big = {"fn_name": "nines", "inputs": [[5000]], "outputs": ["@"]}
    rows = [{**SCRIPT, "problem_id": number, "question": f"Double {number}."} for number in range(6)]
    rows += [{**rows[0], "problem_id": 6, "question": "Nines?", "input_output": json.dumps(big)}]
    rows += [{**rows[0], "problem_id": 7, "question": "Broken?", "input_output": "{"}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    Path("apps.jsonl").write_text(text.replace('\\"@\\"', "9" * 5000))
    words = ("--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--data.batch_size=2")
    code, out, err = qstar("fit", "--model=RejectionSampling", "--data.path=apps.jsonl", *SMALL, *words)
    assert code == 0, err
    assert "Reward: ExecutionReward, which knows these data" in out
    assert "1 left out: input_output must be JSON text" in out


def test_refuses_no_workers():
    with pytest.raises(UserError, match="workers"):
        ExecutionReward(workers=0)


def test_has_nothing_to_train(reward):
    assert list(reward.parameters()) == []
    assert reward.state_dict() == {}
