"""What an experiment found, in files that a report reads."""
