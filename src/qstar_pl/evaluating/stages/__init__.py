"""The stages of an evaluation, each of which goes on where a killed run has left it."""
