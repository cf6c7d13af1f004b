"""What `qstar_pl.data` gives beside the reading of datasets: batches, which need torch and Lightning."""

from .module import RLHFDataModule as RLHFDataModule
from .report import DataReport as DataReport
