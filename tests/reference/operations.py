"""The counter of the benchmark, for the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from decode_ops import decoding as decoding
from decode_ops import laws as laws
from decode_ops import per_token as per_token
from decode_ops import small_gpt2 as small_gpt2
