"""A run from its folder to its end: what is written, when it stops, how it continues."""
