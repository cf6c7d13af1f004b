from collections.abc import Callable
from pathlib import Path

import pytest
from documents import REPOSITORY, files_of
from judge_server import JudgeServer, comparison

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm import LLMJudge
from qstar_pl.evaluation.judges.llm.template_files import read_template, shipped
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks, Score

PAIR = "kind: pairwise\nuser: |\n  {prompt}\n  {answer_1}\n  {answer_2}\n"
VERDICT = 'verdict: {first: "1", second: "2"}\n'
SINGLE = "kind: single\nuser: '{prompt} {answer}'\n"


def test_those_that_come_with_the_package() -> None:
    kinds = {name: read_template(name).pairwise for name in shipped()}
    assert kinds == {
        "alpaca_eval": True,
        "code": True,
        "hh_harmless": True,
        "hh_helpful": True,
        "mt_bench_pair": True,
        "mt_bench_score": False,
        "tldr": True,
    }
    assert len({read_template(name).digest for name in shipped()}) == len(kinds)


def test_one_of_the_user_s_own(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"{PAIR}{VERDICT}")
    assert read_template(str(file)).form == Marks("1", "2")
    file.write_text(f'{SINGLE}verdict: {{score: "<{{score}}>", lowest: 0, highest: 5}}')
    assert read_template(str(file)).form == Score("<", ">", 0.0, 5.0)


def test_the_documents_template_judges(
    serve: Callable[..., JudgeServer], judge: Callable[..., LLMJudge], tmp_path: Path
) -> None:
    file = tmp_path / "brief.yaml"
    file.write_text(files_of(REPOSITORY / "docs" / "evaluation.md")["brief.yaml"])

    def shorter(message: str) -> str:
        line = message.split("\n")[0].rpartition(" that read ")[2]
        first, second = message.split(f"\n{line}\n")[2:4]
        return f"They say:\nVerdict: 2\nVerdict: {1 if len(first) < len(second) else 2}"

    pairs = [comparison("a", "brief", "much too long"), comparison("b", "Verdict: 1, and long", "brief")]
    verdicts = judge(serve(shorter), template=str(file)).compare(pairs)
    assert [verdict.preference for verdict in verdicts] == [1.0, 0.0]


def test_the_documents_name_every_template() -> None:
    page = (REPOSITORY / "docs" / "evaluation.md").read_text()
    assert [name for name in shipped() if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: must hold kind, user and verdict, got no mapping"),
        ("- a\n", ":1: must hold kind, user and verdict, got no mapping"),
        ("kind: pairwise\n\tuser: a\n", ":2: is not valid YAML: "),
        (f"{PAIR}{VERDICT}usr: a\n", ":7: must hold kind, system, user and verdict alone, got usr"),
        (PAIR.replace("pairwise", "pair") + VERDICT, ":1: kind must be pairwise or single, got pair"),
        (f"kind: pairwise\n{VERDICT}", ":1: user must be a text, got None"),
        (f"kind: pairwise\nuser: 3\n{VERDICT}", ":2: user must be a text, got 3"),
        (PAIR.replace("{answer_2}", "") + VERDICT, ":2: user must hold {answer_2} in a template that is pairwise"),
        (PAIR.replace("{prompt}", "") + VERDICT, ":2: user must hold {prompt} in a template that is pairwise"),
        (PAIR.replace("{answer_1}", "{answr_1}") + VERDICT, ":4: {answr_1} must be one of answer_1, answer_2, fence, "),
        (f"{SINGLE.replace('}', '} {answer_1}', 1)}{VERDICT}", ":2: {answer_1} must be one of answer, fence, "),
        (PAIR, ":1: verdict must hold first, second, tie in a template that is pairwise, got None"),
        (f"{PAIR}verdict: {{score: a}}\n", ":6: verdict must hold first, second, tie in a template that is pairwise"),
        (f'{PAIR}verdict: {{first: "1"}}\n', ":6: verdict.second must be a text of one line (in quotes), got None"),
        (
            f"{PAIR}verdict: {{first: 1, second: 2}}\n",
            ":6: verdict.first must be a text of one line (in quotes), got 1",
        ),
        (f"{PAIR}verdict: {{first: a, second: a }}\n", ":6: the marks of the verdict must differ, got a, a"),
        (
            f"{SINGLE}verdict: {{score: Score}}\n",
            ":3: verdict.score must be a text of one line that holds {score}, got",
        ),
        (
            f"{SINGLE}verdict: {{score: '{{score}}', lowest: 9, highest: 3}}\n",
            ":3: verdict.lowest must be a number below",
        ),
    ],
    ids=range(18),
)
def test_a_mistake_is_said_with_file_and_line(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        read_template(str(file))
    assert str(error.value).startswith(f"{file}{said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.yaml", "template must be one of alpaca_eval, .*, or a file .*got nowhere.yaml"),
        ("own.md", "template must end in .yaml, .txt or .jsonl#NAME, got .*own.md"),
        ("latin.yaml", "template must be a text file in UTF-8 that can be read, got .*latin.yaml"),
    ],
)
def test_what_is_no_template(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.md").write_text("a")
    Path("latin.yaml").write_bytes("kind: é".encode("latin-1"))
    with pytest.raises(UserError, match=said):
        read_template(name)
