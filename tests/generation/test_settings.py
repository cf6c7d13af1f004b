import pytest
from small_generation import small_settings

from qstar_pl.data.text.rendering import PlainRendering, TokenizerRendering
from qstar_pl.describing import described, differences
from qstar_pl.errors import UserError
from qstar_pl.generation import GenerationData, GenerationSettings
from qstar_pl.generation.guide import alpha_strategy
from qstar_pl.generation.parts import data_of, sampler_of
from qstar_pl.models import Pretrained
from qstar_pl.qstar import EntropyAlpha, ESSBalanceAlpha, FixedAlpha, KLSymmetricAlpha, SNRAlpha
from qstar_pl.rewards import ExecutionReward
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler, PolicySampler
from qstar_pl.targets import CandidateTarget, Expert


def test_alpha_methods_are_the_strategies_of_these_names():
    names = {
        "fixed": FixedAlpha(0.3),
        "entropy": EntropyAlpha(),
        "kl_symmetric": KLSymmetricAlpha(),
        "ess_balance": ESSBalanceAlpha(),
        "snr": SNRAlpha(),
    }
    for name, strategy in names.items():
        assert alpha_strategy(name, 0.3) == strategy
        sampler = sampler_of(small_settings(alpha_method=name, fixed_alpha=0.3 if name == "fixed" else None))
        assert isinstance(sampler, GeometricSampler)
        assert sampler.alpha == strategy
    assert alpha_strategy("kl_symmetry") == KLSymmetricAlpha()
    assert small_settings(alpha_method="kl_symmetry") == small_settings()
    assert small_settings(alpha_method="fixed") == small_settings(alpha_method="fixed", fixed_alpha=0.5)
    assert isinstance(sampler_of(small_settings(model_t=None)), PolicySampler)
    assert isinstance(data_of(small_settings(prompt_format="raw")).rendering, PlainRendering)
    assert isinstance(data_of(small_settings()).rendering, TokenizerRendering)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha_method": "klsym"}, "alpha_method must be one of fixed, entropy, kl_symmetric, ess_balance, snr"),
        ({"dtype": "int8"}, "dtype must be one of float32"),
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
        ({"start_idx": 5, "end_idx": 5}, r"end_idx must be greater than start_idx \(5\), got 5"),
        ({"start_idx": -1}, "start_idx must be at least 0"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"top_p": 1.5}, r"top_p must lie in \(0, 1\]"),
        ({"alpha_method": "fixed", "fixed_alpha": 2.0}, r"fixed_alpha must lie in \[0, 1\]"),
        ({"fixed_alpha": 0.2}, "alpha_method must be fixed where fixed_alpha is given, got kl_symmetric, the default"),
        ({"alpha_method": "entropy", "fixed_alpha": 0.2}, "alpha_method must be fixed .*, got entropy"),
        ({"model_t": None, "alpha_method": "kl_symmetric"}, "model_t must be given where alpha_method is"),
        ({"model_t": None, "fixed_alpha": 0.2}, "model_t must be given where fixed_alpha is"),
        ({"samples_per_prompt": 0}, "samples_per_prompt must be at least 1"),
        ({"dataset_adapter": "HHRLHF", "prompt_field": "p"}, "prompt_field must be left out beside the class HHRLHF"),
        ({"model_t": None, "prompt_template_t": "{prompt}"}, "model_t must be given"),
        ({"response_field": "a"}, "prompt_field must be given"),
        ({"save_diagnostics": "all"}, "save_diagnostics must be one of none, rows, tokens"),
        ({"prompt_format": "chat"}, "prompt_format must be one of dialogue, raw"),
        ({"model_theta": None}, "model_theta must name a model .*, got nothing"),
        ({"policy": Pretrained("a")}, "model_theta must be left out where policy is given, .*, got 'tiny/policy'"),
        ({"target": Expert(), "model_t": "b"}, "model_t must be left out where target is given"),
        ({"sampler": PolicySampler(), "alpha_method": "snr"}, "alpha_method must be left out where sampler is given"),
        ({"data": GenerationData()}, "end_idx must be left out where data is given, whose own options say it, got 10"),
        (
            {"model_theta": None, "model_t": None, "policy": Pretrained("a"), "dtype": "bfloat16"},
            "dtype must be left out where policy is given",
        ),
    ],
)
def test_mistakes(changes, message):
    with pytest.raises(UserError, match=message):
        small_settings(**changes)


def test_what_may_be_meant_otherwise_is_said():
    assert small_settings().notices == []
    assert small_settings(end_idx=None, num_samples=3).notices == []
    assert small_settings(start_idx=2, end_idx=5, num_samples=3).notices == []
    (rows,) = small_settings(end_idx=10, num_samples=2).notices
    assert rows.startswith("num_samples counts rows: rows 0 to 1 are answered, 2 times each")
    (truncation,) = small_settings(top_p=0.9).notices
    assert "ESS_θ/ESS_t is undefined" in truncation
    assert small_settings(top_p=1.0).notices == []


def test_differences_name_both_values_and_see_a_setting_that_is_new():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": None}) == [
        "b 2 before, 3 now",
        "c None before, None now",
    ]
    assert differences({"a": 1}, {"a": 1}) == []


def test_what_a_run_of_the_guides_words_stores_is_what_it_was():
    """A run that was begun by an earlier version goes on: these are the names and values that it has stored."""
    stored = small_settings().as_dict()
    assert list(stored)[:5] == ["model_theta", "model_t", "prompt_template_t", "alpha_method", "fixed_alpha"]
    assert {"policy", "target", "sampler", "data", "trust_remote_code", "refill"}.isdisjoint(stored)
    assert small_settings(refill=True).as_dict() == stored | {"refill": True}
    assert (stored["max_new_tokens"], stored["temperature"], stored["end_idx"]) == (5, 1.0, 10)
    assert GenerationSettings(model_theta="a").as_dict()["max_new_tokens"] == 128


def test_strategies_take_the_place_of_words_in_what_is_stored():
    sampler = CandidateSetSampler(candidates=4, temperature=0.5)
    settings = GenerationSettings(
        policy=Pretrained("a"), target=Expert(), sampler=sampler, data=GenerationData("q.jsonl"), max_new_tokens=7
    )
    assert settings.sampler == CandidateSetSampler(candidates=4, temperature=0.5, max_new_tokens=7)
    stored = settings.as_dict()
    assert (stored["temperature"], stored["max_new_tokens"], stored["data.path"]) == (0.5, 7, "q.jsonl")
    assert stored["sampler"] == repr(settings.sampler)
    assert {"model_theta", "model_t", "alpha_method", "dataset", "num_samples"}.isdisjoint(stored)


def test_the_options_of_a_strategy_inside_another_are_told():
    assert described(CandidateTarget()) != described(CandidateTarget(reward=ExecutionReward()))
    assert "RewardModelReward(model=Pretrained(name='tiny'" in described(CandidateTarget())
