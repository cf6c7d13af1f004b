import io
from types import SimpleNamespace

from rich.console import Console

from qstar_pl.generation import GenerationData, GenerationProgress
from qstar_pl.generation.plan import plan_batches


def show(terminal: bool, every_s: float = 0.0) -> tuple[GenerationProgress, str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    bar = GenerationProgress(console=console, every_s=every_s)
    data = GenerationData()
    data.plan, data.finished = plan_batches([1] * 6, batch_size=2, samples=2), frozenset({0})
    trainer = SimpleNamespace(is_global_zero=True, datamodule=data)
    bar.on_predict_start(trainer, None)
    for number in range(2):
        bar.on_predict_batch_end(trainer, None, [{"diagnostics": {"tokens": 5}}] * 4, None, number)
    bar.on_predict_end(trainer, None)
    return bar, out.getvalue()


def test_lines_say_how_far_how_fast_and_how_long():
    bar, text = show(terminal=False)
    assert (bar.rows, bar.tokens) == (8, 40)
    first, second = text.splitlines()
    assert first.startswith("4/8 answers, ")
    assert "tokens/s, " in first
    assert second.endswith(" 0 s left")


def test_a_terminal_gets_a_bar():
    _, text = show(terminal=True)
    assert "8/8" in text
    assert "tokens/s" in text


def test_logs_are_not_filled():
    assert show(terminal=False, every_s=1000)[1] == ""
