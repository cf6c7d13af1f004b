"""Execution π_t: `CandidateTarget` with `ExecutionReward`, as configs/target/execution.yaml puts it together."""

import sys
from dataclasses import replace

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model, word_tokenizer

from qstar_pl.models import LanguageModel
from qstar_pl.qstar import HighRewardConditional
from qstar_pl.rewards import ExecutionReward
from qstar_pl.samplers import PolicySampler
from qstar_pl.sandbox import Limits
from qstar_pl.targets import CandidateTarget
from qstar_pl.types import Example, Turn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")
TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
RIGHT, ALSO_RIGHT, HALF, WRONG = "return 2 * x", "return x + x", "return x + 2", "return x"


class Programs:
    """Decodes the answers of the test to programs, in order."""

    def __init__(self, texts):
        self.texts = list(texts)

    def __call__(self, text, **options):
        return {"input_ids": []}

    def decode(self, ids, **options):
        return self.texts.pop(0) if ids else ""


def law(texts, probs, share_of_tests=False):
    example = Example(
        0,
        (Turn("user", "?"),),
        metadata={"task": "humaneval", "prompt": "def f(x):\n", "entry_point": "f", "test": TEST},
    )
    reward = ExecutionReward(workers=1, share_of_tests=share_of_tests, limits=Limits(wall_s=5.0))
    target = CandidateTarget(HighRewardConditional(threshold=1.0), reward)
    model = LanguageModel(random_model().float())
    target.build(random_model(), word_tokenizer())
    target._tokenizer = Programs(texts)
    batch = prompt_batch([[3]])
    pool = PolicySampler(max_new_tokens=2).draw(batch, model, model, samples=len(texts), seed=0)
    pool = replace(pool, prompts=replace(batch, examples=(example,)))
    logprobs = torch.tensor([probs], dtype=torch.float64).log()
    try:
        return target.candidate_logprobs(pool, logprobs).exp()[0].tolist()
    finally:
        reward.close()


def test_is_the_policy_given_that_the_program_passes():
    assert law([RIGHT, WRONG, ALSO_RIGHT, HALF], [0.1, 0.4, 0.3, 0.2]) == pytest.approx([0.25, 0, 0.75, 0])


def test_is_the_policy_where_no_program_passes():
    probs = [0.5, 0.3, 0.2]
    assert law([WRONG, HALF, WRONG], probs) == pytest.approx(probs)


def test_keeps_the_best_share_where_no_program_passes():
    assert law([WRONG, HALF, WRONG], [0.5, 0.3, 0.2], share_of_tests=True) == pytest.approx([0, 1, 0])
