"""The tests that run on a device where there is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from on_gpu.context import Context

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = ("tests/rollout/fused/test_draw.py", "tests/rollout/fused/test_drawing.py")


def run(context: Context) -> None:
    """Run them by pytest; the interpreter's, which need no device, are left out."""
    words = ["-q", "-p", "no:cacheprovider", "--tb=short", *(["-k", "cuda"] if context.device == "cuda" else [])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *FILES], cwd=REPOSITORY, capture_output=True, text=True
    )
    context.record("pytest", exit=done.returncode, said=done.stdout[-3000:] if done.returncode else done.stdout[-200:])
