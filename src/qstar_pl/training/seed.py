"""The seed of a run."""

import os


def run_seed() -> int:
    """Return the seed that `--seed_everything` (or Lightning's `seed_everything`) gave; 0 where none was given."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))
