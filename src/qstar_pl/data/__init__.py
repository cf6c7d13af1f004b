"""Datasets, read through adapters, as batches."""

from .adapter import Adapter as Adapter
from .adapter import RowRejected as RowRejected
from .hh_rlhf import HHRLHF as HHRLHF
from .module import RLHFDataModule as RLHFDataModule
from .prompt_response import PromptResponse as PromptResponse
from .report import DataReport as DataReport
from .tiny_world import TinyWorld as TinyWorld
