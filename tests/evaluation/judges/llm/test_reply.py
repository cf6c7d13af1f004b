import json

import pytest

from qstar_pl.evaluation.judges.llm.reply import Reply, RequestError, Usage, reply_of


def body(message: object, finish: object = "stop", **more: object) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **more})


def test_what_a_model_wrote() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    assert reply_of(body({"content": "a"}, usage=usage)) == Reply("a", "stop", False, Usage(3, 2))
    assert reply_of(body({"content": None, "refusal": "no"})) == Reply("", "stop", True, None)
    assert reply_of(body({"content": "a"}, "content_filter")).refused
    # A model that spent all its tokens on thoughts.
    assert reply_of(body({"content": ""}, "length")) == Reply("", "length", False, None)
    assert reply_of(body({"content": "a"}, None)).finish == ""


@pytest.mark.parametrize(
    "usage",
    [None, 3, {}, {"prompt_tokens": -1}, {"prompt_tokens": "7"}, {"prompt_tokens": True}, {"prompt_tokens": 1.5}],
)
def test_tokens_that_nobody_counted_are_not_known(usage: object) -> None:
    assert reply_of(body({"content": "a"}, usage=usage)).usage is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed body"),
        ("<html>", "malformed body"),
        ("[" * 100_000, "malformed body"),
        ("null", "malformed body"),
        ("{}", "malformed body"),
        ('{"choices": []}', "malformed body"),
        ('{"choices": [null]}', "malformed body"),
        (body(None), "malformed body"),
        (body("text"), "malformed body"),
        (body({"content": [{"text": "a"}]}), "malformed body"),
        (body({"content": "a"}, 7), "malformed body"),
        (body({}), "empty reply"),
        (body({"content": " \n"}), "empty reply"),
    ],
    ids=range(13),
)
def test_what_is_no_reply(text: str, reason: str) -> None:
    with pytest.raises(RequestError) as error:
        reply_of(text)
    assert (error.value.reason, error.value.kind) == (reason, "passing")


@pytest.mark.parametrize("logprobs", [None, 3, {}, {"content": None}, {"content": "ab"}, {"content": [3]}])
def test_log_probabilities_in_another_form_are_none(logprobs: object) -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "logprobs": logprobs}
    assert reply_of(json.dumps({"choices": [choice]})).tokens == ()


@pytest.mark.parametrize(
    "given",
    [{"logprob": 800.0}, {"logprob": float("inf")}, {"logprob": float("nan")}, {"logprob": -1.0, "bytes": 10**15}],
    ids=["above 0", "infinite", "nan", "bytes"],
)
def test_log_probabilities_that_can_be_none_are_none(given: dict) -> None:
    choice = {"message": {"content": "a"}, "logprobs": {"content": [{"token": "a", **given}]}}
    assert reply_of(json.dumps({"choices": [choice]})).tokens == ()


def test_an_error_with_http_200_is_told() -> None:
    with pytest.raises(RequestError, match=r"malformed body: .*overloaded"):
        reply_of('{"error": {"message": "overloaded"}}')
