from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.run_folders.settings import Settings, read_config, read_settings

CONFIG = """\
# lightning.pytorch==2.6.6
seed_everything: 3
trainer:
  callbacks:
  - class_path: a.B
    init_args:
      text: 'two
        lines'
  max_steps: 20
model:
  class_path: qstar_pl.methods.DPO
  init_args:
    policy:
      class_path: c.D
data:
  class_path: qstar_pl.data.RLHFDataModule
  init_args:
    path: data/hh_rlhf.jsonl.gz
    adapter:
      class_path: e.F
name: mine
"""


def settings(folder: Path, text: str) -> Settings:
    (folder / "config.yaml").write_text(text)
    return read_settings(folder)


def test_what_a_run_was_to_do(tmp_path: Path) -> None:
    wanted = Settings("mine", "DPO", "hh_rlhf.jsonl.gz", 3, 20)
    assert settings(tmp_path, CONFIG) == wanted == Settings.of(read_config(tmp_path))


def test_a_form_that_lines_do_not_show_is_parsed_in_full(tmp_path: Path) -> None:
    text = "{model: {class_path: a.PPO}, name: 'of two\n    words', trainer: {max_steps: 5}}\n"
    assert settings(tmp_path, text) == Settings("of two words", "PPO", max_steps=5)


def test_foreign_contents_say_nothing(tmp_path: Path) -> None:
    assert (
        settings(tmp_path, "model: DPO\ndata: [1]\ntrainer:\n  max_steps: -1\nname: 4\nseed_everything: true\n")
        == Settings()
    )


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a: [", "YAML"), (b"\xff\xfe\x00", "UTF-8"), (b"- 1", "got list"), (None, "No such")]
)
def test_damage_is_one_message(content: bytes | None, reason: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=f"config.yaml must .*{reason}"):
        read_settings(tmp_path)
