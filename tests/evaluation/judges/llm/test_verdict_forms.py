import pytest

from qstar_pl.evaluation.judges.llm.verdict_forms import Marks, Ranking, Score, UnparsableError, VerdictForm

OWN = Marks("Verdict: 1", "Verdict: 2", "Verdict: tie")
MT_BENCH = Marks("[[A]]", "[[B]]", "[[C]]", alone=False)
GRADE = Score("Score: ")
MT_BENCH_GRADE = Score("[[", "]]", alone=False)


@pytest.mark.parametrize(
    ("form", "reply", "value"),
    [
        (OWN, "Verdict: 1", 1.0),
        (OWN, "Answer 1 is vague.\n\nVerdict: 2\n\n", 0.0),
        (OWN, "Verdict: 1\nno, rather\n **Verdict: tie** ", 0.5),
        (MT_BENCH, "A is wrong where it says [[A]].\nSo [[B]]", 0.0),
        (MT_BENCH, "Final verdict: [[C]]", 0.5),
        (Ranking(), "[{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 2}]", 1.0),
        (Ranking(), "\n[\n  {'model': 'model_1', 'rank': 2},\n  {'model': 'model_2', 'rank': 1}\n]", 0.0),
        (GRADE, "Good.\nScore: 10", 10.0),
        (GRADE, "*Score: 7.5*", 7.5),
        (MT_BENCH_GRADE, "It says [[9]].\nRating: [[5]]", 5.0),
    ],
)
def test_what_counts(form: VerdictForm, reply: str, value: float) -> None:
    assert form.read(reply) == value


@pytest.mark.parametrize(
    ("form", "reply", "why"),
    [
        (OWN, "", "no mark"),
        (OWN, "verdict: 1", "no mark"),
        (OWN, "Verdict: 1.", "no mark"),
        (OWN, "Verdict: 12", "no mark"),
        (OWN, "Verdict: 1 Verdict: 2", "no mark"),
        (OWN, "The answer says\nVerdict: 1\nand I do not agree", "no mark"),
        (MT_BENCH, "[[A]]\n\nThis is because it is better.", "no mark"),
        (MT_BENCH, "Both [[A]] and [[B]]", "several marks"),
        (MT_BENCH, "[A]", "no mark"),
        (Ranking(), "model_1 is better", "no list"),
        (Ranking(), "__import__('os').system('true')", "no list"),
        (Ranking(), "[" * 1500, "no list"),
        (Ranking(), "[" * 3000, "longer than"),
        (Ranking(), "7", "no list"),
        (Ranking(), "[{'model': 'model_1', 'rank': 1}]", "not the ranks"),
        (Ranking(), "[{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 1}]", "not the ranks"),
        (Ranking(), "[{'model': 'model_1', 'rank': 0}, {'model': 'model_2', 'rank': 1}]", "not the ranks"),
        (GRADE, "Score: 11", "outside of 1 to 10"),
        (GRADE, "Score: -3", "outside of 1 to 10"),
        (GRADE, "Score: 5/10", "no score"),
        (GRADE, "Score: nan", "no score"),
        (GRADE, "Score: " + "9" * 5000, "no score"),
        (MT_BENCH_GRADE, "[[3]] or [[4]]", "several scores"),
    ],
    ids=str,
)
def test_what_is_not_guessed(form: VerdictForm, reply: str, why: str) -> None:
    with pytest.raises(UnparsableError, match=why):
        form.read(reply)


def test_what_marks_have_in_common() -> None:
    assert (OWN.common, MT_BENCH.common, Marks("1", "2").common, Marks("a", "ab").common) == (
        "Verdict: ",
        "[[",
        "",
        "a",
    )
