"""The page as text."""

from qstar_pl.experiments.report.page import rendered, without_times
from qstar_pl.experiments.report.page.contents import Answer, Chapter, Claim, Page, Prompt, Table, Times

TABLE = Table("Main <table>", ["cell", "score"], [["q_star", "0.70"], ["ppo", "0.60"]], "How & why.")


def chapter(seconds: str = "12 s", key: str = "main") -> Chapter:
    return Chapter(
        key,
        "All methods",
        "Which?",
        ["q* does not win."],
        [("seeds", "0, 1")],
        ["q_star, seed 1 failed: <oom>"],
        [("Hypotheses", [Claim("H1", "q* learns more.", "not supported", "−0.1 [−0.2, 0.0]", "Paired.")])],
        [TABLE],
        [],
        [Prompt("What is <b>?", [Answer("q_star", "0.5", "<script>alert(1)</script>")])],
        "The first one.",
        "gold reward",
        Times((), [Table("Seconds", ["cell", "time"], [["q_star", seconds]])]),
        "qstar experiment main",
        [("q_star, seed 0", "qstar fit")],
    )


def test_the_page_says_what_it_was_given_and_escapes_it() -> None:
    text = rendered(Page("All methods", [chapter()]))
    for word in (
        '<span class="chip not-supported">not supported</span>',
        '<p class="lead">q* does not win.</p>',
        "Main &lt;table&gt;",
        '<th scope="col" class="number">score</th>',
        '<th scope="row">q_star</th>',
        "&lt;script&gt;alert(1)",
        "q_star, seed 1 failed: &lt;oom&gt;",
        'href="#main-time"',
    ):
        assert word in text
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_apart_from_the_section_on_time_two_runs_of_the_same_give_the_same() -> None:
    one, other = (rendered(Page("A", [chapter(seconds)])) for seconds in ("12 s", "13 s"))
    assert one != other
    assert without_times(one) == without_times(other)
    assert "All methods" not in without_times(one) or "Seconds" not in without_times(one)
    assert "Seconds" in one


def test_several_experiments_stand_below_each_other() -> None:
    text = rendered(Page("Two", [chapter(key="one"), chapter(key="two")]))
    for anchor in ("one", "two"):
        assert f'<li class="chapter"><a href="#{anchor}">All methods</a></li>' in text
        assert f'id="{anchor}-time"' in text
