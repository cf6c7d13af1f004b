"""What every method needs around a step: accumulation, finite numbers, plateaus, lengths, judges, resuming."""
