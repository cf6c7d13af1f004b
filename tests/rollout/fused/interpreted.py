"""Runs the kernel on the CPU, by Triton's interpreter: `interpreted.py CASES RESULTS`, both files of torch.save.

A process of its own, since Triton reads TRITON_INTERPRET when it is imported.
"""

import os
import sys
import warnings
from dataclasses import asdict

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch

from qstar_pl.rollout.fused.draw import draw

if __name__ == "__main__":
    results = {}
    # The interpreter is numpy, which warns of what a device just computes.
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        for name, case in torch.load(sys.argv[1]).items():
            results[name] = asdict(draw(**case))
    torch.save(results, sys.argv[2])
