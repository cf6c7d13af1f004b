"""Seeded synthetic data on which very small language models can learn, and what their answers are really worth.

The tokenizer is in `qstar_pl.tiny_world.tokenizer`, which needs transformers; nothing here does.
"""

from qstar_pl.tiny_world.gold_formula import gold_reward as gold_reward
from qstar_pl.tiny_world.rows import demonstrations as demonstrations
from qstar_pl.tiny_world.rows import dialogues as dialogues
from qstar_pl.tiny_world.rows import posts as posts
from qstar_pl.tiny_world.rows import programs as programs
