"""From which distribution should RLHF sample? Lightning training with exact sampling distributions.

From the command line: `qstar --help`. From Python:

Generation
    QStarGenerator          answers to prompts from q*, models given or named

Mathematics
    qstar_pl.qstar          mixtures, α, ESS, weights, advantages, losses

Parts of a run, each a strategy with base class and defaults
    qstar_pl.methods        what is trained: QStar, PPO, DPO, SFT, …
    qstar_pl.samplers       q, what answers are drawn from
    qstar_pl.targets        π_t, the behavior we want
    qstar_pl.rewards        what an answer is worth
    qstar_pl.models         where models come from, LoRA, export
    qstar_pl.data           datasets, adapters, filters, the data module
    qstar_pl.callbacks      diagnostics
    qstar_pl.evaluation     metrics of validate and test, pass@k
    qstar_pl.optim          optimizers and schedules
    qstar_pl.distributed    the strategy fsdp2

Around a run
    qstar_pl.generation     datasets of answers, and their analysis
    qstar_pl.experiments    quickstart and comparisons under the same seeds
    qstar_pl.planning       memory and time of a run
    qstar_pl.theory         q* of two models next to float64
    qstar_pl.tiny_world     text, rewards and tokenizer that need no download
    qstar_pl.sandbox        programs run against their tests
    qstar_pl.types          what the stages of a step hand on
    qstar_pl.errors         UserError, which says what must change

    __version__             of the package
"""

from importlib import import_module as _import_module
from typing import Any as _Any

__all__ = ["QStarGenerator", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    """Give `QStarGenerator` on demand: it brings transformers and Lightning, and `import qstar_pl` stays light."""
    if name == "QStarGenerator":
        return _import_module("qstar_pl.generation").QStarGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
