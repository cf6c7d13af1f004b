"""The judge against a server that fails as servers do; `judge_server` keeps the books of what was answered."""

import copy
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from judge_server import FAULTS, QUICK, SHORT, SIZE, JudgeServer, comparison, plan, rows, say

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges import ask
from qstar_pl.evaluation.judges.llm import Budget, Limits, LLMJudge

Serve = Callable[..., JudgeServer]
Make = Callable[..., LLMJudge]

CHILD = """
import sys
from judge_server import QUICK, rows
from qstar_pl.evaluation.judges.llm import LLMJudge
LLMJudge("judge-1", sys.argv[1], template=sys.argv[2], cache=sys.argv[3], limits=QUICK).compare(rows())
"""


def test_every_verdict_is_paid_once_over_failures_and_a_kill(serve: Serve, judge: Make, tmp_path: Path) -> None:
    server = serve(say, failing=20)
    one = judge(server)  # also writes the template
    words = [sys.executable, "-c", CHILD, server.url, one.template, str(one.cache)]
    child = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    server.wait_for_answers(300)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    told: list[int] = []
    verdicts = one.compare(rows(), told.append)

    assert sum(told) == SIZE
    wanted = {"better": 1.0, "worse": 0.0, "equal": 0.5, "undecided": None}
    assert [verdict.preference for verdict in verdicts] == [wanted[plan(number)] for number in range(SIZE)]
    undecided = sum(plan(number) == "undecided" for number in range(SIZE))
    report = one.report()
    assert report["without_verdict"] == {"unparsable": undecided}
    assert (report["first_share"], report["order_agreement"]) == (0.5, 1.0)
    # Each of the 1,000 requests was answered, and only what was under way at the kill more than once.
    assert len(server.answered) == 2 * SIZE
    assert server.answered.total() - 2 * SIZE <= QUICK.workers
    assert set(server.answered.values()) <= {1, 2}
    assert report["requests"] == 2 * SIZE - report["from_cache"] + report["repetitions"]
    assert report["tokens"] == {"prompt": 100 * charged(report), "completion": 10 * charged(report)}
    # All sorts of failures have occurred, and each as often as its sort comes.
    assert set(report["failures"]) == {"HTTP 500", "HTTP 429", "malformed body", "empty reply", "connection error"}
    assert 0.15 < server.failed.total() / server.requests.total() < 0.25

    sent = server.requests.total()
    assert judge(server).compare(rows()) == verdicts
    assert server.requests.total() == sent


def charged(report: dict) -> int:
    """Replies with usage: those that brought a judgment and the empty ones; of a body that is cut off none is known."""
    return 2 * SIZE - report["from_cache"] + report["failures"]["empty reply"]


def test_a_judge_that_always_prefers_the_first_prefers_nobody(serve: Serve, judge: Make) -> None:
    server = serve(lambda _: "Verdict: 1")
    one = judge(server)
    verdicts = one.compare(rows()[:40])
    assert [verdict.preference for verdict in verdicts] == [0.5] * 40
    assert {verdict.reason for verdict in verdicts} == {"the two orders disagree"}
    assert (one.report()["first_share"], one.report()["order_agreement"]) == (1.0, 0.0)
    # In one order it does prefer somebody: whom the seed shows first.
    seeded = [judge(server, order="seeded", seed=seed) for seed in (0, 1)]
    preferences = [[verdict.preference for verdict in one.compare(rows()[:40])] for one in seeded]
    assert [set(values) for values in preferences] == [{0.0, 1.0}] * 2
    assert preferences[0] != preferences[1]
    # Both orders had been asked, so that no other was.
    assert server.requests.total() == 80


def test_one_order_without_a_verdict_is_no_verdict(serve: Serve, judge: Make) -> None:
    (verdict,) = judge(serve(lambda text: "Verdict: 1" if "1 good" in text else "?")).compare([comparison("a")])
    assert (verdict.preference, verdict.reason) == (None, "unparsable: no mark on the last line")
    assert verdict.extra == {"orders": {"answer_first": 1.0, "baseline_first": None}}


def test_replies_without_a_verdict_are_asked_again_only_on_request(serve: Serve, judge: Make) -> None:
    said = {"message": {"content": None, "refusal": "I cannot"}, "finish_reason": "stop"}
    server = serve(lambda _: said)
    assert [verdict.reason for verdict in judge(server).compare([comparison("a")])] == ["refused"]
    assert [verdict.reason for verdict in judge(server).compare([comparison("a")])] == ["refused"]
    assert server.requests.total() == 2
    server.say = lambda text: "Verdict: 1" if "1 good" in text else "Verdict: 2"
    again = judge(server, retry_unparsable=True)
    assert [verdict.preference for verdict in again.compare([comparison("a")])] == [1.0]
    assert [verdict.preference for verdict in judge(server).compare([comparison("a")])] == [1.0]
    assert server.requests.total() == 4


def test_what_a_server_fails_at_for_good_has_a_reason_and_is_asked_in_the_next_run(serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.fault = lambda key, attempt: "empty"
    limits = Limits(max_retries=2, first_wait_s=0.001)
    one = judge(server, limits=limits, order="seeded")
    assert [verdict.reason for verdict in one.compare([comparison("a", "better")])] == ["empty reply"]
    assert server.requests.total() == 3
    server.fault = lambda key, attempt: "400"
    rejected = one.compare([comparison("a", "better")])[0].reason
    assert rejected is not None
    assert rejected.startswith("HTTP 400: ")
    assert server.requests.total() == 4  # which is not repeated
    server.fault = lambda key, attempt: None
    assert one.compare([comparison("a", "better")])[0].preference == 1.0
    assert one.report()["failures"] == {"HTTP 400": 1, "empty reply": 3}


def test_a_question_that_several_share_is_asked_once(serve: Serve, judge: Make, tmp_path: Path) -> None:
    server = serve(lambda text: "Score: 7" if "better" in text else "Score: 4.5")
    file = tmp_path / "score.yaml"
    file.write_text('kind: single\nuser: "{prompt} {answer}"\nverdict: {score: "Score: {score}"}\n')
    one = judge(server, template=str(file))
    told: list[int] = []
    same = [comparison("a", text, "baseline") for text in ("better", "worse", "better", "other")]
    verdicts = one.compare(same, told.append)
    assert [verdict.preference for verdict in verdicts] == [1.0, 0.5, 1.0, 0.5]
    assert verdicts[0].extra == {"scores": {"answer": 7.0, "baseline": 4.5}}
    assert (server.requests.total(), sum(told)) == (4, 4)
    assert "first_share" not in one.report()


def test_log_probabilities_weigh_a_verdict(serve: Serve, judge: Make) -> None:
    def token(text: str, **top: float) -> dict:
        alternatives = [{"token": f" {name}", "logprob": value} for name, value in top.items()]
        return {"token": text, "logprob": -0.1, "top_logprobs": alternatives}

    def choice(text: str) -> dict:
        # p(1) is 3 p(2) for the good answer in the first place, and all other tokens say nothing.
        odds = {"1": -1.0, "2": -2.0986122886681098} if "1 good" in text else {"2": -1.0, "1": -1.0}
        mark = {"token": " 1", "logprob": -1.0, "top_logprobs": token("", **odds)["top_logprobs"]}
        content = [token("Verdict", x=-3.0), token(":"), mark]
        return {"message": {"content": "Verdict: 1"}, "finish_reason": "stop", "logprobs": {"content": content}}

    server = serve(choice)
    one = judge(server, top_logprobs=5)
    assert one.compare([comparison("a")])[0].preference == pytest.approx((0.75 + 0.5) / 2)
    assert (server.bodies[0]["logprobs"], server.bodies[0]["top_logprobs"]) == (True, 5)
    assert one.report()["weighted"] == 2
    server.say = lambda _: "Verdict: tie"  # a server that gives none
    assert one.compare([comparison("b")])[0].preference == 0.5
    assert one.report()["weighted"] == 2


def test_ctrl_c_keeps_what_is_there(serve: Serve, judge: Make) -> None:
    server = serve(say)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(server).compare(rows()[:60], interrupt)
    before = server.requests.total()
    assert before < 120
    judge(server).compare(rows()[:60])
    assert server.requests.total() == 120
    assert set(server.answered.values()) == {1}


def test_a_budget_ends_in_one_line_with_everything_kept(serve: Serve, judge: Make) -> None:
    server = serve(say)
    with pytest.raises(UserError, match=r"budget\.max_requests must reach for all comparisons, got 7 with 3 of 20 "):
        judge(server, budget=Budget(max_requests=7), limits=Limits(workers=1)).compare(rows()[:20])
    assert server.requests.total() == 7
    # A reply costs 0.0003 at these prices; what is put aside for it is the longest that it could be.
    budget = Budget(input_price=2.0, output_price=10.0, max_cost=0.002)
    one = judge(server, budget=budget, max_tokens=20)
    with pytest.raises(UserError, match=r"budget\.max_cost must reach for all comparisons, got 0\.002 with"):
        one.compare(rows()[:20])
    spent = one.report()["cost"]
    assert 0.0015 < spent <= 0.002
    rest = judge(server, budget=Budget(input_price=2.0, output_price=10.0), max_tokens=20)
    rest.compare(rows()[:20])
    assert rest.report()["cost"] + spent == pytest.approx(40 * 0.0003)
    assert set(server.answered.values()) == {1}


def test_costs_that_are_not_known_are_absent(serve: Serve, judge: Make) -> None:
    one = judge(serve(say, usage=False), budget=Budget(input_price=2.0, output_price=10.0))
    one.compare(rows()[1:3])
    assert one.report()["replies_without_usage"] == 4
    other = judge(serve(say))
    other.compare(rows()[1:3])
    assert "cost" not in other.report()


@pytest.mark.parametrize("status", ["401", "403", "404"])
def test_an_endpoint_that_refuses_everything_is_one_line(status: str, serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.fault = lambda key, attempt: status
    with pytest.raises(UserError, match=rf"the judge at {server.url} must answer, got HTTP {status}: .* with 0 of 500"):
        judge(server).compare(rows())
    assert server.requests.total() <= QUICK.workers


def test_an_endpoint_that_does_not_recover_is_one_line(serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.fault = lambda key, attempt: "500"
    limits = Limits(max_retries=1, first_wait_s=0.001, failures_in_a_row=5, workers=2)
    with pytest.raises(UserError, match="got HTTP 500: "):
        judge(server, limits=limits).compare(rows())
    assert server.requests.total() <= 2 * 7


def test_requests_that_are_all_refused_end_it_and_single_ones_do_not(serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.fault = lambda key, attempt: "400"
    one = judge(server, limits=Limits(failures_in_a_row=5))
    with pytest.raises(UserError, match="got HTTP 400: "):
        one.compare(rows())
    assert server.requests.total() < 5 + one.limits.workers
    server.fault = lambda key, attempt: None
    one.compare(rows()[1:3])
    server.fault = lambda key, attempt: "400"
    verdicts = one.compare(rows()[301:321])
    assert {str(verdict.reason).partition(": ")[0] for verdict in verdicts} == {"HTTP 400"}


def test_a_server_that_asks_for_hours_or_has_no_money_left_ends_it(serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.fault = lambda key, attempt: "429"
    server.retry_after = "7200"
    with pytest.raises(UserError, match=r"got HTTP 429: it asks to wait 7200 s, longer than limits\.longest"):
        judge(server).compare(rows())
    server.retry_after, server.code = "0.01", "insufficient_quota"
    with pytest.raises(UserError, match=r"got HTTP 429: .*no, "):
        judge(server).compare(rows())
    assert server.requests.total() <= 2 * QUICK.workers


@pytest.mark.parametrize("retries", [0, 1, 6])
def test_nobody_there_is_found_soon(retries: int, serve: Serve, judge: Make) -> None:
    server = serve(say)
    server.close()
    with pytest.raises(UserError, match=r"must answer, got connection error: .*refused"):
        judge(server, limits=Limits(first_wait_s=0.001, max_retries=retries)).compare(rows()[:2])


def test_requests_are_as_many_at_a_time_as_there_are_workers(serve: Serve, judge: Make) -> None:
    server = serve(say, delay_s=0.03)
    judge(server, limits=Limits(workers=3)).compare(rows()[:12])
    assert server.most_at_once == 3


def test_a_server_that_is_silent_is_asked_again(serve: Serve, judge: Make) -> None:
    server = serve(say, delay_s=0.3)
    one = judge(server, limits=Limits(timeout_s=0.05, max_retries=1, first_wait_s=0.001), order="seeded")
    (verdict,) = one.compare([comparison("a")])
    assert verdict.reason == "time-out: no reply in 0.05 s"
    assert one.report()["failures"] == {"time-out": 2}


def test_the_key_is_nowhere(
    serve: Serve,
    judge: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    key = "sk/judge-0123456789abcdef"
    monkeypatch.setenv("JUDGE_KEY", key)
    caplog.set_level(logging.DEBUG)
    server = serve(lambda text: f"Your key is {key}.\nVerdict: 1", failing=30)
    one = judge(server, key_variable="JUDGE_KEY")
    texts = [repr(verdict) for verdict in one.compare(rows()[:30])]
    server.fault = lambda key, attempt: "400"
    texts += [repr(verdict) for verdict in one.compare(rows()[30:32])]
    server.fault = lambda key, attempt: "401"
    with pytest.raises(UserError) as error:
        one.compare(rows()[32:34])
    texts += [str(error.value), repr(error.value.__cause__), one.description, repr(one), str(one.report())]
    texts += [caplog.text, *capfd.readouterr(), repr(pickle.dumps(one))]
    texts += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    # It was sent, and came back: in replies and in errors.
    assert any("Your key is ***" in text for text in texts)
    assert "no, Bearer ***" in str(error.value)
    assert [text for text in texts if key in text or key.replace("/", "\\/") in text] == []


def test_a_key_goes_to_nobody_it_was_not_meant_for(serve: Serve, judge: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-alone")
    server = serve(say)
    server.fault = lambda key, attempt: "401"
    with pytest.raises(UserError, match="no, Bearer none"):
        judge(server).compare(rows()[:1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "localhost:8000"}, "base_url must be an address such as"),
        ({"base_url": "http://me:word@host/v1"}, "base_url must hold no user, password or query"),
        ({"base_url": ""}, "base_url must be an address such as .*, got nothing"),
        ({"base_url": "me:word@host/v1"}, r"base_url must be an address such as .*got \*\*\*@host/v1"),
        ({"base_url": "http://h/v1?key=abc"}, "base_url must hold no user, password or query"),
        ({"key_variable": "sk-0123456789"}, "key_variable must name an environment variable, .*, got something else"),
        ({"key_variable": "NO_SUCH_KEY"}, "the environment variable NO_SUCH_KEY must hold the key of http://h/v1"),
        ({"base_url": None}, "the environment variable OPENAI_API_KEY must hold the key of https://api.openai.com/v1"),
        ({"template": "alpaca"}, "template must be one of alpaca_eval, code, "),
        ({"template": "mt_bench_score", "top_logprobs": 3}, "top_logprobs must be 0 for a template without marks"),
        ({"model": " "}, "model must name a model of the endpoint, got nothing"),
        ({"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ({"top_logprobs": 21}, r"top_logprobs must lie in \[0, 20\], got 21"),
        ({"extra": {"headers": {"api_key": "abc"}}}, "extra must hold no key or password"),
        ({"extra": {"stream": True}}, "extra must not hold stream"),
        ({"max_tokens": None, "limits": Limits(tokens_per_minute=5)}, "max_tokens must be given with"),
        ({"cache": "/proc/nowhere"}, "cache must name a folder that can be used, got /proc/nowhere"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(
    options: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    known = {"model": "m", "base_url": "http://h/v1", "cache": str(tmp_path)}
    with pytest.raises(UserError, match=said) as error:
        LLMJudge(**{**known, **options}).build(None)
    assert not [secret for secret in ("word@", "=abc", "'abc'", "sk-0") if secret in str(error.value)]


def test_without_the_client_the_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install 'qstar-pl\[judge\]'"):
        LLMJudge("m", "http://h/v1").build(None)


def test_a_description_holds_what_was_given() -> None:
    one = LLMJudge("m", "http://h/v1", extra={"top_k": 1}, limits=Limits(workers=2), cache="x", key_variable="A")
    assert one.description == "LLMJudge(model='m', base_url='http://h/v1', extra={'top_k': 1})"


def test_what_verdicts_depend_on_is_in_the_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(SHORT)
    one = LLMJudge("m", "http://h/v1", template=str(file))
    same = LLMJudge("m", "http://h/v1", template=str(file), limits=Limits(workers=2), cache="elsewhere")
    assert one.fingerprint == same.fingerprint
    others = [LLMJudge("n", "http://h/v1", template=str(file)), LLMJudge("m", "http://h/v1")]
    file.write_text(file.read_text().replace("Q {prompt}", "Question {prompt}"))
    others.append(LLMJudge("m", "http://h/v1", template=str(file)))
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_a_copy_begins_anew(serve: Serve, judge: Make) -> None:
    one = judge(serve(say))
    one.compare(rows()[:2])
    assert copy.deepcopy(one) == one
    assert copy.deepcopy(one).report()["comparisons"] == 0


def test_an_evaluation_that_stops_at_its_budget_goes_on(
    serve: Serve, tmp_path: Path, qstar: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk/judge-0123456789abcdef")
    server = serve(lambda text: "Verdict: 1", failing=20)
    Path("rows.jsonl").write_text(
        "".join(f'{{"prompt": "{n}?", "answer": "yes {n}", "other": "no"}}\n' for n in range(30))
    )
    options = f"--model=m --base_url={server.url} --template=tldr --cache=cache --limits.first_wait_s=0.01".split()
    words = ["evaluate", "--answers=rows.jsonl", "--baseline=AnswersFile", "--baseline.path=rows.jsonl"]
    words += ["--baseline.answer_field=other", "--dataset=rows.jsonl", "--output=out", "--metrics=[]"]
    words += ["--judge=LLMJudge", *(option.replace("--", "--judge.") for option in options)]
    words += ["--judge.key_variable=JUDGE_KEY"]

    code, _, err = qstar(*words, "--judge.budget.max_requests=25")
    assert code == 2
    assert "error: budget.max_requests must reach for all comparisons, got 25 with" in err
    code, out, err = qstar(*words)
    assert code == 0, err
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == 60
    assert "win rate against the baseline 0.5000" in out
    assert "the answer shown first is preferred by 100.0%, both orders agree on 0.0% of 30" in out
    found = json.loads(Path("out/results.json").read_text())["win_rate"]
    assert (found["first_share"], found["order_agreement"]) == (1.0, 0.0)
    assert "judge" in json.loads(Path("out/times.json").read_text())
    texts = [out, err, *(file.read_text() for file in Path().rglob("*") if file.is_file())]
    assert [text for text in texts if "0123456789abcdef" in text] == []


def test_identical_answers_cost_nothing(serve: Serve, judge: Make) -> None:
    server = serve(say)
    assert [one.preference for one in ask(judge(server), [comparison("a", "same", "same")])] == [0.5]
    assert server.requests.total() == 0


def test_the_server_fails_in_every_way() -> None:
    server = JudgeServer(say, failing=20)
    server.close()
    planned = Counter(server.fault(str(number), 1) for number in range(3000))
    assert set(planned) == {None, *FAULTS}
    assert 0.17 < 1 - planned[None] / 3000 < 0.23
