"""The small models of benchmarks/families.py, for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from families import FAMILIES as FAMILIES
from families import examine as examine
from families import padded_prompts as padded_prompts
from families import small_model as small_model
from families import table as table
from families import word_tokenizer as word_tokenizer
