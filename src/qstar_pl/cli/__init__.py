"""The command line: from words to a run, in layers, with one line for every mistake."""

from .dispatch import main as main
