"""What is left of jsonargparse's messages; their texts were printed by jsonargparse 4.53."""

from collections.abc import Callable

import pytest

from qstar_pl.cli.messages import essence

OPTIONS = ["model", "data", "trainer.max_steps", "trainer.max_epochs", "ckpt_path"]


def test_a_value_of_the_wrong_type_deep_in_the_configuration() -> None:
    message = """Parser key "model":
  Does not validate against any of the Union subtypes
  Subtypes: [<class 'qstar_pl.methods.bases.rlhf_module.RLHFModule'>, <class 'NoneType'>]
  Errors:
    - Problem with given class_path 'qstar_pl.methods.q_star.QStar':
        Parser key "sampler":
          Problem with given class_path 'qstar_pl.samplers.geometric.GeometricSampler':
            Parser key "alpha":
              Problem with given class_path 'qstar_pl.qstar.alpha.FixedAlpha':
                Parser key "value":
                  Expected a <class 'float'>. Got value: abc
    - Expected a <class 'NoneType'>
  Given value type: <class 'jsonargparse._util.NestedArg'>
  Given value: NestedArg(key='sampler.alpha.value', val='abc')"""
    assert essence(message) == "--model.sampler.alpha.value: expected float, got abc"


def test_an_unknown_argument_names_its_class_and_a_near_one() -> None:
    message = """Parser key "model":
  Does not validate against any of the Union subtypes
  Errors:
    - Problem with given class_path 'qstar_pl.methods.q_star.QStar':
        Option 'samplr' is not accepted
    - Expected a <class 'NoneType'>"""
    assert essence(message) == "--model.samplr: QStar has no such option; did you mean sampler?"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("limits.worker", "--judge.limits.worker: Limits has no such option; did you mean workers?"),
        ("limit.workers", "--judge.limit: LLMJudge has no such option; did you mean limits?"),
        ("limits.workers.many", "--judge.limits.workers.many: Limits has no such option"),
    ],
)
def test_an_unknown_option_within_an_option_has_its_full_name(word: str, said: str) -> None:
    message = f"""Parser key "judge":
  Does not validate against any of the Union subtypes
  Errors:
    - Problem with given class_path 'qstar_pl.evaluation.judges.LLMJudge':
        unrecognized arguments: --{word}=3
    - Expected a <class 'NoneType'>"""
    assert essence(message) == said


def test_an_unknown_class_names_near_ones_of_the_right_kind() -> None:
    message = """Parser key "model":

  - Expected a path but {name} either not accessible or invalid
  - Does not validate against any of the Union subtypes
  Subtypes: [<class 'qstar_pl.methods.bases.rlhf_module.RLHFModule'>, <class 'NoneType'>]
  Errors:
    - Expected a dot import path string: {name}
    - Expected a <class 'NoneType'>
  Given value type: <class 'str'>
  Given value: {name}"""
    assert essence(message.format(name="QStarr")) == "--model: unknown class QStarr; did you mean QStar?"
    none_near = essence(message.format(name="Xyzzy"))
    assert none_near.startswith("--model: unknown class Xyzzy; known: ")
    assert "DPO" in none_near
    assert "RLHFModule" not in none_near, "a base class is no method"


def test_a_missing_group_file() -> None:
    message = """Parser key "model":
  Does not validate against any of the Union subtypes
  Errors:
    - Problem with given class_path 'qstar_pl.methods.q_star.QStar':
        Parser key "sampler":

          - Expected a path but ../nope.yaml either not accessible or invalid
          - Unexpected import path format: ../nope.yaml
    - Expected a <class 'NoneType'>"""
    assert essence(message) == "--model.sampler: no such file: ../nope.yaml"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("unrecognized arguments: --modell=QStar", "unknown option --modell; did you mean --model?"),
        ("unrecognized arguments: junk", "unexpected word junk"),
        (
            "Subcommand 'fit' does not accept option 'modell.class_path'",
            "unknown option --modell; did you mean --model?",
        ),
        (
            "Parser key \"trainer.max_steps\":\n  Expected a <class 'int'>. Got value: a",
            "--trainer.max_steps: expected int, got a",
        ),
        ("argument --ckpt_path: expected one argument", "--ckpt_path must be followed by a value, got nothing"),
        (
            'Parser key "trainer.precision":\n  Does not validate against any of the Union subtypes\n  Errors:\n'
            "    - Expected a typing.Literal[64, 32]\n    - Expected a typing.Literal['16-mixed']\n  Given value: 7",
            "--trainer.precision: must be one of 64, 32, '16-mixed', got 7",
        ),
        ("Something new\nin two lines", "Something new"),
    ],
)
def test_short_messages(message: str, line: str) -> None:
    assert essence(message, OPTIONS) == line


def test_what_a_strategy_says_of_its_option_comes_before_that_it_is_no_text() -> None:
    message = (
        "Does not validate against any of the Union subtypes\nSubtypes: [<class 'str'>, <class 'Strategy'>]\nErrors:\n"
        "  - Expected a <class 'str'>\n  - trainer.strategy.timeout_s must be positive, got 0.0\nGiven value: {}"
    )
    assert essence(message) == "trainer.strategy.timeout_s must be positive, got 0.0"
    assert essence("Errors:\n  - Expected a <class 'str'>\nGiven value: 3") == "expected str, got 3"


CALLABLE = """Parser key "model":
  Does not validate against any of the Union subtypes
  Errors:
    - Problem with given class_path 'qstar_pl.methods.QStar':
        Parser key "optimizer":
          Type typing.Callable[[collections.abc.Iterable], torch.optim.optimizer.Optimizer] expects a function or a \
callable class: {reason}. Got value: Namespace(class_path='torch.optim.AdamW', init_args=Namespace(lr='abc'))
    - Expected a <class 'NoneType'>
  Given value type: <class 'jsonargparse._util.NestedArg'>
  Given value: NestedArg(key='optimizer.lr', val='abc')"""
TENSOR = """Parser key "lr":

            - Expected a path but abc either not accessible or invalid
            - Does not validate against any of the Union subtypes
            Subtypes: [<class 'float'>, <class 'torch.Tensor'>]
            Errors:
              - Expected a <class 'float'>
              - Expected a dot import path string: abc
            Given value type: <class 'str'>
            Given value: abc"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (CALLABLE.format(reason=TENSOR), "--model.optimizer.lr: expected float, got abc"),
        (
            CALLABLE.format(reason="Parser key \"eps\":\n  Expected a <class 'float'>. Got value: abc"),
            "--model.optimizer.eps: expected float, got abc",
        ),
        (
            CALLABLE.format(reason="Option 'betaz' is not accepted"),
            "--model.optimizer.betaz: AdamW has no such option; did you mean betas?",
        ),
        (
            CALLABLE.format(reason="the following arguments are required: lr, eps"),
            "--model.optimizer.lr and --model.optimizer.eps must be given",
        ),
        (
            'Parser key "trainer.callbacks":\n  Errors:\n'
            "    - Problem with given class_path 'lightning.pytorch.callbacks.EarlyStopping':\n"
            "        the following arguments are required: monitor\n    - Not a valid subclass of Callback",
            "--trainer.callbacks.monitor must be given for EarlyStopping",
        ),
        ("the following arguments are required: fit.model", "--model: expected a class, got null"),
        (
            "Parser key \"seed_everything\":\n  Subtypes: [<class 'bool'>, <class 'int'>]\n  Errors:\n"
            "    - Expected a <class 'bool'>\n    - Expected a <class 'int'>\n  Given value: None",
            "--seed_everything: expected bool or int, got null",
        ),
        (
            "Parser key \"trainer.deterministic\":\n  Subtypes: [<class 'bool'>, typing.Literal['warn']]"
            "\n  Errors:\n    - Expected a <class 'bool'>\n    - Expected a typing.Literal['warn']\n"
            "  Given value: maybe",
            "--trainer.deterministic: must be one of 'warn' or of type bool, got maybe",
        ),
        (
            "Parser key \"trainer\":\nUnable to load config 'null'\n"
            '  - Parser key "trainer": Unable to load config "null"',
            "--trainer: expected a YAML file or a mapping, got null",
        ),
        (
            "Parser key \"data\":\n  Errors:\n    - Problem with given class_path 'qstar_pl.data.RLHFDataModule':\n"
            "        Parser key \"max_rows\":\n          Errors:\n            - Expected a <class 'int'>\n"
            "          Given value: abc\n  Given value: NestedArg(key='max_rows', val='abc')",
            "--data.max_rows: expected int, got abc",
        ),
    ],
)
def test_what_is_deep_inside(message: str, line: str) -> None:
    assert essence(message, OPTIONS) == line


def test_a_model_in_place_of_its_source_is_told_where_its_name_goes(qstar: Callable[..., tuple[int, str, str]]) -> None:
    for option in ("--model.policy", "--model.target.model"):
        code, _, err = qstar("fit", f"{option}=owner/name")
        assert code == 2
        line = f"error: {option}: no such file: owner/name; a model of that name or folder is {option}.name=owner/name"
        assert err.splitlines()[-1] == line
