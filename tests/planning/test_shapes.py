"""Shapes of known models, against the numbers of parameters that their makers publish."""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.errors import UserError
from qstar_pl.planning.shapes import FILE, given_shapes, known_shapes, read_shape


def parameters(shape: dict, layers: int) -> int:
    config = AutoConfig.for_model(**shape)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())


def test_every_shape_has_the_parameters_of_its_model() -> None:
    found = {}
    for model in json.loads(FILE.read_text())["models"]:
        shape = model["shape"]
        layers = shape.get("num_hidden_layers", shape.get("n_layer"))
        one, two = parameters(shape, 1), parameters(shape, 2)  # all layers are alike
        found[model["names"][0]] = one + (layers - 1) * (two - one) - model["parameters"]
    assert {name: difference for name, difference in found.items() if difference} == {}


def test_shapes_of_all_shipped_configurations_are_known(repository: Path) -> None:
    named = set()
    for file in (repository / "configs").rglob("*.yaml"):
        named |= set(re.findall(r"^ *name: ([\w.-]+/[\w.-]+)$", file.read_text(), flags=re.MULTILINE))
    hub = {name for name in named if not name.startswith("tiny/")}
    assert len(hub) >= 5
    assert hub <= known_shapes().keys()


def test_a_shape_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2}')
    given = given_shapes(["a/b=gpt2", f"c={tmp_path}", f"d.ckpt={tmp_path}/config.json"])
    assert given["a/b"] == known_shapes()["openai-community/gpt2"]
    assert given["c"] == given["d.ckpt"] == {"model_type": "gpt2", "n_layer": 2}
    assert read_shape(tmp_path, "shape") == given["c"]
    for word in ("a", "=b", "a="):
        with pytest.raises(UserError, match="shape must be NAME=FOLDER"):
            given_shapes([word])
    (tmp_path / "config.json").write_text("[]")
    for value in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match=r"shape must lead to the config\.json of a model"):
            given_shapes([f"a={value}"])
