"""What holds for every judge: nothing hangs on which answer comes first."""

import json
import os
import pickle
import sys

import pytest
from reference.tiny_rows import tiny_examples

from qstar_pl.evaluation.judges import (
    Comparison,
    FinalAnswerJudge,
    GoldJudge,
    Judge,
    LengthJudge,
    RewardModelJudge,
    TestsJudge,
    Verdict,
    ask,
)
from qstar_pl.models import Pretrained
from qstar_pl.rewards import RewardModelReward
from qstar_pl.sandbox import Limits
from qstar_pl.types import Example, Turn

(FACTS,) = tiny_examples(1)
SUM = Example(2, (Turn("user", "How much is 6 times 7?"),), metadata={"final_answer": "42"})
PROGRAM = Example(
    3,
    (Turn("user", "def twice(x):\n"),),
    metadata={
        "task": "humaneval",
        "task_id": "T/0",
        "prompt": "def twice(x):\n",
        "entry_point": "twice",
        "test": "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 4\n",
    },
)
JUDGES = {
    "length": (LengthJudge(), FACTS),
    "gold": (GoldJudge(), FACTS),
    "heuristic": (GoldJudge(heuristic=True), SUM),
    "reward model": (RewardModelJudge(RewardModelReward(Pretrained("tiny/reward"))), FACTS),
    "reward model, wide margin": (RewardModelJudge(RewardModelReward(Pretrained("tiny/reward")), margin=1.0), FACTS),
    "Bradley-Terry": (RewardModelJudge(RewardModelReward(Pretrained("tiny/reward")), soft=True), FACTS),
    "final answer": (FinalAnswerJudge(), SUM),
    "tests": (TestsJudge(workers=2, limits=Limits(wall_s=5.0)), PROGRAM),
}
TEXTS = {
    FACTS.key: [FACTS.chosen, FACTS.rejected, "", "ibbo \U0001f33d\u0301 \u202e box", "box " * 300],
    SUM.key: ["#### 42", "It is 41.", "", "\uff14\uff12 \ud800", "\\boxed{42}"],
    PROGRAM.key: ["    return 2 * x", "    return x + 1", "", "    return '\u00b2'", "    return 4"],
}


@pytest.fixture(scope="module", params=JUDGES, ids=list(JUDGES))
def case(request: pytest.FixtureRequest):
    judge, example = JUDGES[request.param]
    if isinstance(judge, TestsJudge) and sys.platform != "linux":
        pytest.skip("programs run on Linux only")
    judge.build(None)
    yield judge, example, TEXTS[example.key]
    judge.close()


def preferences(verdicts: list[Verdict]) -> list[float | None]:
    return [verdict.preference for verdict in verdicts]


def test_swapping_the_answers_turns_the_preference_round(case) -> None:
    judge, example, texts = case
    pairs = [Comparison(example, one, other) for one in texts for other in texts]
    told: list[int] = []
    verdicts = judge.compare(pairs, told.append)
    assert sum(told) == len(verdicts) == len(pairs)
    assert None not in preferences(verdicts)
    assert len(set(preferences(verdicts))) > 1  # it does tell some of them apart
    turned = judge.compare([pair.swapped() for pair in pairs])
    assert preferences([one.swapped() for one in turned]) == pytest.approx(preferences(verdicts), abs=1e-9)
    json.dumps([verdict.as_json() for verdict in verdicts], allow_nan=False)


def test_identical_answers_tie_whatever_else_is_compared(case) -> None:
    judge, example, texts = case
    assert preferences(judge.compare([Comparison(example, text, text) for text in texts])) == [0.5] * len(texts)
    mixed = judge.compare([Comparison(example, texts[0], texts[1]), Comparison(example, texts[0], texts[0])])
    assert mixed[1].tie


def test_no_comparison_needs_no_verdict(case) -> None:
    assert case[0].compare([]) == []


def test_the_better_answer_wins(case) -> None:
    judge, example, (good, bad, *_) = case
    (verdict,) = judge.compare([Comparison(example, good, bad)])
    if isinstance(judge, LengthJudge) or getattr(judge, "heuristic", False):
        assert len(good) == len(bad) or not verdict.tie
    elif getattr(judge, "margin", 0):
        assert verdict.preference in (0.5, 1)
    else:
        assert verdict.preference is not None
        assert verdict.preference > 0.5


def test_a_judge_can_be_sent_to_another_process(case) -> None:
    judge, example, texts = case
    copy: Judge = pickle.loads(pickle.dumps(judge))
    assert copy.fingerprint == judge.fingerprint
    pair = [Comparison(example, texts[0], texts[1])]
    assert copy.compare(pair) == judge.compare(pair)
    copy.close()


def test_all_have_names_of_their_own() -> None:
    assert len({judge.fingerprint for judge, _ in JUDGES.values()}) == len(JUDGES)
    assert os.linesep not in "".join(judge.description for judge, _ in JUDGES.values())


def test_who_knows_an_example(case) -> None:
    judge, example, _ = case
    assert judge.unknown(example) is None
    stranger = Example(9, (Turn("user", "Hello?"),))
    expects = isinstance(judge, FinalAnswerJudge | TestsJudge) or judge == GoldJudge()
    (verdict,) = ask(judge, [Comparison(stranger, "a b", "c")])
    assert (verdict.preference is None) == expects
    assert bool(judge.unknown(stranger)) == expects
