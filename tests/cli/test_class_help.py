"""Help on what a configuration can name: every class, every option of it, with a sentence and a default."""

import re
import sys

import pytest

from qstar_pl.cli.class_format import ClassFormatter, hint_of, known
from qstar_pl.cli.class_help import Asked, arguments
from qstar_pl.cli.dispatch import commands
from qstar_pl.cli.help_format import HelpFormatter


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["fit", "--name=a"], None),
        (["fit", "-h"], ("", None, ["fit"])),
        (["--model=DPO", "--model.reward.help"], ("model.reward", None, ["--model=DPO"])),
        (["--model.help=DPO", "--model.reward.help", "Gold"], ("model.reward", "Gold", ["--model=DPO"])),
    ],
)
def test_what_words_ask_for(words, asked) -> None:
    found = Asked.by(words)
    assert (found and (found.key, found.name, found.rest)) == asked


def test_the_chosen_class_and_the_known_ones(qstar) -> None:
    code, out, err = qstar("fit", "--config=experiment/tiny_dpo", "--model.help")
    assert code == 0, err
    assert "DPO, the chosen one" in out
    assert "Chosen: DPO." in out
    assert "Default: KLSymmetricAlpha." in qstar("fit", "--model=QStar", "--model.sampler.alpha.help")[1]
    assert "--model.beta FLOAT" in out
    assert "  RewardModeling " in out
    assert "LazyInstance" not in out
    alpha = ("--model.sampler.alpha=FixedAlpha", "--model.sampler.alpha.value=0.3", "--model.sampler.alpha.help")
    out = qstar("fit", *alpha)[1]
    assert "FixedAlpha, the chosen one" in out
    assert "Default: 0.3." in out
    assert "  KLSymmetricAlpha " in out
    out = qstar("fit", "--model.optimizer.help")[1]
    assert "AdamW, the chosen one" in out
    assert "params" not in out.partition("options of AdamW")[2].split("--model.optimizer.lr ")[0]
    assert "--data.adapter.help=APPS" in qstar("fit", "--data.adapter.help")[1]
    assert "--trainer.max_steps INT" in qstar("fit", "--trainer.help")[1]


def test_of_a_command_without_a_trainer(qstar) -> None:
    code, out, err = qstar("data", "--adapter.help")
    assert code == 0, err
    assert "Auto, the chosen one" in out
    assert "  HHRLHF " in out
    assert "options of LengthFilter" in qstar("data", "--filters.help=LengthFilter")[1]
    assert "Chosen: 3." in qstar("data", "--max-rows=3", "--max_rows.help")[1]


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("rendering.templat", "--rendering.templat: TokenizerRendering has no such option"),
        ("adaptr", "unknown option --adaptr; did you mean adapter?"),
        ("rendering.help=Nothing", "--rendering.help: unknown class Nothing; known: "),
        ("filters.low", "--filters.low.help needs a class for --filters, got null"),
    ],
)
def test_help_on_what_is_not_there(qstar, option, line) -> None:
    code, _, err = qstar("data", f"--{option}" if "=" in option else f"--{option}.help")
    assert code == 2
    assert err.startswith(f"error: {line}")


UNITS = {"_s": r"\bs\b|second", "tokens": "token", "_gib": "GiB", "_mib": "MiB", "_gbs": "bytes/s"}
"""How an option's name ends → the unit that its sentence names."""


def complaints(name: str, text: str) -> list[str]:
    found = []
    if len(text) < 8 or not text.split("Default:")[0].split("Classes")[0].strip():
        found.append(f"{name} has no sentence")
    if not any(word in text for word in ("efault", "None:", "null:", "Required", "must be given")):
        found.append(f"{name} has no default: {text}")
    for end, unit in UNITS.items():
        if name.endswith(end) and not re.search(unit, text, re.IGNORECASE):
            found.append(f"{name} lacks its unit ({unit}): {text}")
    return found


def test_every_option_has_a_sentence_its_unit_and_its_default(qstar, monkeypatch) -> None:
    shown_actions = []

    lay_out = HelpFormatter.add_arguments

    def record(self, actions) -> None:
        shown_actions.extend((self._prog, self, action) for action in actions)
        lay_out(self, actions)

    monkeypatch.setattr(HelpFormatter, "add_arguments", record)
    monkeypatch.setenv("COLUMNS", "80")
    # As `python -m qstar_pl` and torchrun have it.
    monkeypatch.setattr(sys, "argv", ["/somewhere/qstar_pl/__main__.py"])
    for command in commands():
        code, out, err = qstar(command, "--help")
        assert code == 0, err
        assert out.startswith(f"usage: qstar {command} ")
        assert [line for line in out.splitlines() if len(line) > 80] == []
        assert "\nexamples:\n  qstar " in out
    assert {prog.split()[1] for prog, *_ in shown_actions} == set(commands())
    wrong, waiting, seen = [], [], set()
    for prog, formatter, action in shown_actions:
        text = formatter._expand_help(action)
        if action.dest not in ("help", "print_config") and action.option_strings:
            wrong += complaints(f"{prog} --{action.dest}", text)
        assert text, (prog, action.dest)
        waiting += known(hint_of(action))
    while waiting:  # every class that some option can name
        cls = waiting.pop()
        if cls in seen or not cls.__module__.startswith("qstar_pl."):
            continue
        seen.add(cls)
        for action in arguments(cls, cls.__name__):
            wrong += complaints(action.dest, ClassFormatter("qstar")._expand_help(action))
            waiting += known(hint_of(action))
    assert len(seen) > 80
    assert not wrong, "\n".join(wrong)
