"""Real references, each against its own solution and against another's; and rows of every kind."""

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reference.judged import rollout_of
from small_run import SMALL

from qstar_pl.data import Auto
from qstar_pl.data.adapters.deepscaler import DeepScaleR
from qstar_pl.data.adapters.gsm8k import GSM8K
from qstar_pl.data.adapters.natural_questions import NaturalQuestions
from qstar_pl.data.adapters.prompt_response import PromptResponse
from qstar_pl.errors import UserError
from qstar_pl.rewards import ExecutionReward, FinalAnswerReward, GoldReward, WeightedSum
from qstar_pl.types import Example, Turn

Call = Callable[..., tuple[int, str, str]]
REWARD = FinalAnswerReward()


def example(**metadata):
    return Example(1, (Turn("user", "?"),), metadata=metadata)


def right(text, **metadata):
    return REWARD.is_right(text, REWARD.references(example(**metadata)))


def test_references():
    assert REWARD.references(example(final_answer=" 72 ")) == ["72"]
    assert REWARD.references(example(final_answer=72.5)) == ["72.5"]
    assert REWARD.references(example(answers=["one", "one season"])) == ["one", "one season"]
    assert REWARD.references(example(final_answer=None, answers=[""])) == []
    assert REWARD.references(example(row={"final_answer": "3"})) == ["3"]
    assert FinalAnswerReward(fields=("target",)).references(example(final_answer="1", row={"target": 2})) == ["2"]
    with pytest.raises(UserError, match="fields must name"):
        FinalAnswerReward(fields=())


def test_each_answer_is_judged_by_its_own_prompt():
    drawn = rollout_of([{"final_answer": "1,080"}, {}, {"answers": ["one", "one season"]}], [0, 0, 1, 2, 2, 0])
    texts = ["so #### 1080", "#### 1081", "#### 1080", "One season.", "1080", r"\boxed{1.08\times 10^3}"]
    rewards = REWARD.score(drawn, texts)
    assert rewards.dtype == torch.float32
    assert rewards.tolist() == [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="zip"):
        REWARD.score(drawn, texts[:-1])


def test_a_sum_knows_what_its_terms_know():
    programs = WeightedSum([REWARD, ExecutionReward()], [1.0, 1.0])
    assert programs.unknown(example(final_answer="1")) == "ExecutionReward: it has no tests of programs"
    assert WeightedSum([REWARD], [1.0]).unknown(example()) is None
    assert GoldReward().unknown(example(task="apps")) is not None
    assert GoldReward().unknown(example()) is None


def test_one_of_several_is_enough():
    assert right("It was one season.\nAnswer: one season", answers=["one", "one season"])
    assert right("One", answers=["one", "one season"])
    assert not right("two", answers=["one", "one season"])


def test_marks_alone():
    strict = FinalAnswerReward(unmarked=False)
    assert strict.is_right("#### 5", ["5"])
    assert not strict.is_right("5", ["5"])
    assert REWARD.is_right("so it is 5", ["5"])


def test_an_example_without_a_reference_gets_nothing():
    assert REWARD.unknown(example(final_answer="1")) is None
    assert "final_answer" in (REWARD.unknown(example()) or "")
    assert not right("5")


def test_in_any_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(right(r"\boxed{9**9**9}", final_answer=r"\sqrt{4}")))
    thread.start()
    thread.join(10)
    assert results == [False]


def rows(path: Path) -> list[dict]:
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="module")
def gsm8k(real_data: Path) -> list[Example]:
    return GSM8K().read(str(real_data / "gsm8k" / "train_1000.jsonl.gz")).examples


def test_gsm8k(gsm8k: list[Example]) -> None:
    assert len(gsm8k) == 1000
    for form in ("{}", "So.\n#### {}", r"$\boxed{{{}}}$", "The answer is {}.", "Answer: ${}", "That makes {} dollars."):
        texts = [form.format(one.metadata["row"]["answer"].rpartition("####")[2].strip()) for one in gsm8k]
        assert (
            sum(REWARD.is_right(text, REWARD.references(one)) for text, one in zip(texts, gsm8k, strict=True)) == 1000
        )
    assert sum(REWARD.is_right(one.chosen or "", REWARD.references(one)) for one in gsm8k) == 1000
    others = zip(gsm8k, [*gsm8k[1:], gsm8k[0]], strict=True)
    assert sum(REWARD.is_right(one.chosen or "", REWARD.references(other)) for one, other in others) <= 20


def test_deepscaler(real_data: Path) -> None:
    examples = DeepScaleR().read(str(real_data / "deepscaler" / "deepscaler_preview_800.jsonl.gz")).examples
    assert len(examples) == 800
    for form in ("{}", r"Thus \boxed{{{}}}.", "#### {}", "The answer is {}"):
        texts = [form.format(one.metadata["final_answer"]) for one in examples]
        pairs = zip(texts, examples, strict=True)
        assert [text for text, one in pairs if not REWARD.is_right(text, REWARD.references(one))] == []
    # The rest are wrong, or name the choice's letter alone.
    assert sum(REWARD.is_right(one.chosen or "", REWARD.references(one)) for one in examples) == 739
    others = zip(examples, [*examples[1:], examples[0]], strict=True)
    assert sum(REWARD.is_right(one.chosen or "", REWARD.references(other)) for one, other in others) <= 8


def test_natural_questions(real_data: Path) -> None:
    examples = NaturalQuestions().read(str(real_data / "nq_open" / "NQ-open.dev.jsonl.gz")).examples
    assert len(examples) == 3610
    assert all(REWARD.is_right(text, one.metadata["answers"]) for one in examples for text in one.metadata["answers"])
    others = zip(examples, [*examples[1:], examples[0]], strict=True)
    assert sum(REWARD.is_right(one.chosen or "", REWARD.references(other)) for one, other in others) <= 4


GSM8K_ROWS = [
    {
        "question": f"Ann has {n} pens and buys {n}. How many has she?",
        "answer": f"{n}+{n}=<<{n}+{n}={2 * n}>>{2 * n}\n#### {2 * n}",
    }
    for n in range(1, 9)
]
FAST = (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--data.batch_size=2")


def write(path: str, rows: list[dict]) -> str:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "rows",
    [
        GSM8K_ROWS,
        [{"problem": f"What is {n}/2?", "answer": f"\\frac{{{n}}}{{2}}", "solution": f"So {n}/2."} for n in range(8)],
        [{"question": f"who was number {n}", "answer": [f"James {n}"]} for n in range(8)],
        [{"question": f"What is {n}?", "solution": f"It is {n}.", "answer": str(n)} for n in range(8)],
    ],
    ids=["gsm8k", "deepscaler", "nq", "a final answer beside a solution"],
)
def test_it_is_the_default_where_answers_are_known(rows: list[dict], qstar: Call) -> None:
    path = write("rows.jsonl", rows)
    code, out, err = qstar("fit", "--model=QStar", f"--data.path={path}", *FAST)
    assert code == 0, err
    assert "Reward: FinalAnswerReward, which knows these data" in out
    (metrics,) = Path("runs").glob("q_star/version_0/metrics.csv")
    assert "reward/mean" in metrics.read_text()


def test_q_star_on_real_rows(real_data: Path, qstar: Call) -> None:
    path = real_data / "gsm8k" / "train_1000.jsonl.gz"
    code, out, err = qstar("fit", "--model=QStar", f"--data.path={path}", "--data.max_rows=40", *FAST)
    assert code == 0, err
    assert "FinalAnswerReward" in out


def test_the_final_answer_is_shown(qstar: Call) -> None:
    code, out, err = qstar("data", "--path", write("rows.jsonl", GSM8K_ROWS))
    assert code == 0, err
    assert "final_answer = answer, behind ####" in out
    assert 'final_answer: "2"' in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model.reward=FinalAnswerReward",), "reward must know the rows that it judges"),
        (("--model.reward=ExecutionReward",), "got ExecutionReward with 8 of 8 rows"),
        (
            ("--model.reward=FinalAnswerReward", "--model.gold=ExecutionReward"),
            "reward must know the rows that it judges",
        ),
        (
            ("--model.reward=FinalAnswerReward", '--model.reward.fields=["n"]', "--model.gold=ExecutionReward"),
            "gold must",
        ),
    ],
)
def test_a_reward_that_cannot_know_the_rows_is_refused(words: tuple[str, ...], said: str, qstar: Call) -> None:
    path = write("rows.jsonl", [{"prompt": f"Say {n}", "response": "no", "n": n} for n in range(8)])
    code, _, err = qstar("fit", "--model=QStar", f"--data.path={path}", *FAST, *words)
    assert code == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in line
    assert "rows.jsonl:1" in line
    assert "--model." in line


def test_some_rows_may_lack_a_reference(qstar: Call) -> None:
    rows = [{"prompt": f"Say {n}", "response": "no", "n": n if n % 2 else None} for n in range(8)]
    words = ("--model.reward=FinalAnswerReward", '--model.reward.fields=["n"]')
    code, out, err = qstar("fit", "--model=QStar", f"--data.path={write('rows.jsonl', rows)}", *FAST, *words)
    assert code == 0, err
    assert "FinalAnswerReward: answers to 4 of 8 rows cannot be judged and get 0" in out


def test_adapters_suggest_it() -> None:
    assert isinstance(GSM8K().default_reward(), FinalAnswerReward)
    assert isinstance(PromptResponse("prompt", final_answer_field="x").default_reward(), FinalAnswerReward)
    assert PromptResponse("prompt").default_reward() is None
    assert Auto().default_reward() is None
