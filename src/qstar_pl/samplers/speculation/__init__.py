"""Speculative decoding: blocks of drafted tokens, read in one pass and kept as far as q agrees."""
