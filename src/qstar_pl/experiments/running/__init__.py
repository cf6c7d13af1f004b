"""Runs an experiment: what is left to do, side by side, on this machine or a cluster."""
