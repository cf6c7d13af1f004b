"""The page as text."""

import math
from dataclasses import replace

from qstar_pl.evaluation.statistics import Interval
from qstar_pl.experiments.report.page import rendered, without_times
from qstar_pl.experiments.report.page.contents import Answer, Chapter, Page, Prompt, Times
from qstar_pl.experiments.report.tables.table import Table
from qstar_pl.experiments.report.verdicts.evidence import Evidence
from qstar_pl.experiments.report.verdicts.verdict import Verdict

TABLE = Table("Main <table>", ("cell", "score"), (("q_star", "0.70"), ("ppo", "0.60")), 1, ("How & `why < 1`.",))

VERDICT = Verdict(
    "H1",
    "q* learns more",
    "not supported",
    (Evidence("q_star − ppo", -0.1, Interval(-0.2, -0.05, 0.95, "t"), (0.0, math.inf), 3),),
    "paired over seeds",
    ("main",),
)


def chapter(seconds: str = "12 s", key: str = "main") -> Chapter:
    return Chapter(
        key,
        "All methods",
        "Which?",
        "q* does not win.",
        [("seeds", "0, 1")],
        ["q_star, seed 1 failed: <oom>"],
        "A sample is an answer.",
        [("Hypotheses", [VERDICT])],
        [TABLE],
        [],
        [Prompt("What is <b>?", [Answer("q_star", "0.5", "<script>alert(1)</script>")])],
        "The first one.",
        "gold reward",
        Times((), [Table("Seconds", ("cell", "time"), (("q_star", seconds),))]),
        "qstar experiment main",
        [("q_star, seed 0", "qstar fit")],
    )


def test_the_page_says_what_it_was_given_and_escapes_it() -> None:
    text = rendered(Page("All methods", [chapter()]))
    for word in (
        '<span class="chip not-supported">not supported</span>',
        '<p class="lead">q* does not win.</p>',
        "q_star − ppo: -0.100 (-0.200 to -0.050), 3 seeds",
        "Paired over seeds. Read: main.",
        "Main &lt;table&gt;",
        "How &amp; <code>why &lt; 1</code>.",
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
    assert '<section id="main-time"' not in without_times(one)
    assert '<section id="main-commands"' in without_times(one)


def test_several_experiments_stand_below_each_other() -> None:
    text = rendered(Page("Two", [chapter(key="one"), chapter(key="two")], [("Hypotheses", [VERDICT])], [VERDICT]))
    assert '<a href="#verdicts">Verdicts</a>' in text
    answers = text[text.index('<section id="answers"') : text.index('<section id="verdicts"')]
    assert answers.count('<a href="#') == 2
    assert text.index('<section id="verdicts"') < text.index('id="one-time"')
    for anchor in ("one", "two"):
        assert f'<li class="chapter"><a href="#{anchor}">All methods</a></li>' in text
        assert f'id="{anchor}-time"' in text


def test_a_claim_that_was_judged_under_several_conditions_stands_once() -> None:
    near, far = (
        replace(VERDICT, group=group, status=status, holm=0.2)
        for group, status in (("target near", "supported"), ("target far", "undecided"))
    )
    one = replace(chapter(), verdicts=[("Hypotheses", [near, far])])
    text = rendered(Page("A", [one]))
    assert text.count('<p class="what">q* learns more</p>') == 1
    assert '<th scope="row">target far</th>' in text
    assert '<span class="chip supported alone">supported (alone; not after Holm)</span>' in text
