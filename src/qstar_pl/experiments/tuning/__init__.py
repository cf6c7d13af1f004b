"""`tune:` of an experiment: a sweep of one option for every cell, and a second set of cells with what won."""
