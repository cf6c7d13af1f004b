"""Generated datasets: answers from π_θ and π_t to a dataset's prompts, with resume, and their analysis."""

from .data import GenerationData as GenerationData
from .generator import Generation as Generation
from .generator import QStarGenerator as QStarGenerator
from .module import GenerationModule as GenerationModule
from .progress import GenerationProgress as GenerationProgress
from .run import GenerationRun as GenerationRun
from .run import generate_dataset as generate_dataset
from .settings import GenerationSettings as GenerationSettings
from .writer import GenerationWriter as GenerationWriter
