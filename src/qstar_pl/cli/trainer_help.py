"""What the help of Lightning's commands says of their options, where Lightning's own words do not fit."""

from __future__ import annotations

SECTIONS = {
    "method and data": lambda option: option in ("model", "data"),
    "the run": lambda option: not option.startswith("trainer"),
    "trainer (options of Lightning)": lambda option: True,
}
TEXTS = {
    "model": "The method: a class, or a YAML file with class_path and init_args.",
    "data": "The data module, likewise.",
    "trainer": "A YAML file of trainer options; by default none.",
    "config": "A YAML file of any of these options, or a name that `qstar configs` lists; may be given several times, "
    "by default none.",
    "seed_everything": "Seed of every random number, an integer; true draws one.",
    "ckpt_path": "What to go on from, or to measure: a checkpoint, file or folder; last, for the run of this name that "
    "wrote last; auto, likewise if there is one.",
    "weights_only": "Whether a checkpoint may hold nothing but tensors and plain values; null leaves it to Lightning.",
    "trainer.logger": "Where metrics are logged: a class or a list of them; true is a CSVLogger, false nowhere.",
    "trainer.default_root_dir": "Folder below which every run gets one of its own.",
}
"""Options of Lightning → what they mean here."""
