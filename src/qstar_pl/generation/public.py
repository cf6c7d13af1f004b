"""What `qstar_pl.generation` gives; it needs torch and Lightning, which an analysis does without."""

from .data import GenerationData as GenerationData
from .generator import Generation as Generation
from .generator import QStarGenerator as QStarGenerator
from .module import GenerationModule as GenerationModule
from .progress import GenerationProgress as GenerationProgress
from .run import GenerationRun as GenerationRun
from .run import generate_dataset as generate_dataset
from .settings import GenerationSettings as GenerationSettings
from .writer import GenerationWriter as GenerationWriter
