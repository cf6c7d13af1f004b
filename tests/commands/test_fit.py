"""What `qstar fit` prints, as a newcomer meets it: the real command with its defaults."""

import warnings
from collections.abc import Callable

import pytest

Call = Callable[..., tuple[int, str, str]]
SHORT = (
    "--trainer.max_steps=2",
    "--trainer.limit_val_batches=2",
    "--data.max_rows=64",
    "--model.evaluation_sampler.max_new_tokens=3",
)
MOST_LINES = 25
"""Lines before the first step."""
WIDTH = 80


@pytest.mark.parametrize(
    "words",
    [("--model.sampler.max_new_tokens=3",), ("--model=SFT",), ("--model=DPO", "--trainer.accumulate_grad_batches=2")],
    ids=["default", "SFT", "DPO"],
)
def test_few_lines_before_the_first_step_and_no_warning(words: tuple[str, ...], qstar: Call) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        code, out, err = qstar("fit", *words, *SHORT)
    assert code == 0, err
    # ResourceWarning: of files that the interpreter closes, which nobody sees.
    assert [str(one.message) for one in seen if one.category is not ResourceWarning] == []
    assert err == ""
    start, _, rest = out.partition("\nstep ")
    lines = start.splitlines()
    assert lines[0].startswith("qstar fit: runs/")
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= WIDTH
    for once in ("rows read", "effective batch", "\n  trained ", "\n  devices "):
        assert start.count(once) == 1
    assert rest.startswith("1/2, ")
    assert "checkpoint: " in rest
    assert "go on: " in rest
