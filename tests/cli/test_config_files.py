"""YAML files of options, read before jsonargparse does."""

from pathlib import Path

import pytest

from qstar_pl.cli.config_files import check_config_files, read_yaml
from qstar_pl.errors import UserError


def test_a_key_is_given_once_in_a_mapping(isolated: Path) -> None:
    Path("a.yaml").write_text("a: {b: 1, c: 2}\nd: {b: 3}\n")
    assert read_yaml(Path("a.yaml")) == {"a": {"b": 1, "c": 2}, "d": {"b": 3}}
    Path("a.yaml").write_text("a:\n  b: 1\n  c: 2\n  b: 3\n")
    with pytest.raises(UserError, match=r"^a\.yaml:4 is not valid YAML: b is given twice, first in line 2$"):
        read_yaml(Path("a.yaml"))


def test_merged_keys_may_be_given_again(isolated: Path) -> None:
    Path("a.yaml").write_text("x: &x {b: 1, c: 2}\ny:\n  <<: *x\n  b: 3\n")
    assert read_yaml(Path("a.yaml"))["y"] == {"b": 3, "c": 2}


def test_what_is_spelled_out_is_no_file(isolated: Path) -> None:
    check_config_files(["--config={trainer: {max_steps: 1}}", "--config", "experiment/tiny_dpo", "--name", "no.yaml"])
    with pytest.raises(UserError, match="config must be a file"):
        check_config_files(["--config", "no.yaml"])
