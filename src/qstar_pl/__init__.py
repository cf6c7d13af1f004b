"""From which distribution should RLHF sample? Lightning training with exact sampling distributions."""

__version__ = "0.1.0"
