from dataclasses import dataclass, field
from typing import Any

from torch import nn

from qstar_pl.describing import described, differences, shortened
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler


@dataclass(frozen=True)
class Holder:
    parts: Any
    hidden: int = field(default=3, repr=False)


def test_a_dataclass_without_modules_is_described_as_it_describes_itself() -> None:
    for plain in (GeometricSampler(), Holder((1,)), Holder([1, "a"]), Holder(()), Holder({"a": 1})):
        assert described(plain) == repr(plain)


def test_the_options_of_a_module_in_a_dataclass_are_told() -> None:
    assert described(Holder(GoldReward(heuristic=True))) == "Holder(parts=GoldReward(heuristic=True))"
    assert described(Holder([GoldReward()])) == "Holder(parts=[GoldReward(heuristic=False)])"
    assert described(nn.ModuleList([GoldReward()])) == "ModuleList(0=GoldReward(heuristic=False))"


def test_of_a_class_with_other_options_those_that_differ_are_told() -> None:
    before = {"answers": "AnswersFile(path='a.jsonl', id_field=None)", "seed": 0, "reward": "Length", "top_p": None}
    now = {"answers": "AnswersFile(path='b.jsonl', id_field=None)", "seed": 1, "reward": "Length", "top_p": None}
    assert differences(before, now) == ["answers.path 'a.jsonl' before, 'b.jsonl' now", "seed 0 before, 1 now"]
    now = {**before, "answers": "DataAnswers(which='chosen')"}
    assert differences(before, now) == ["answers AnswersFile(path='a.jsonl') before, DataAnswers(which='chosen') now"]
    nested = "ModelAnswers(policy=Pretrained(name='x', revision=None), part=None)"
    assert shortened(nested) == "ModelAnswers(policy=Pretrained(name='x'))"
    assert differences({"reward": "f(x"}, {}) == ["reward 'f(x' before, None now"]
