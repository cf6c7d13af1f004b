"""Numbers of a cell, one for each of its seeds."""
