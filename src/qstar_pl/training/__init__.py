"""What every method needs around a step: accumulation, the watch over what is finite, plateaus, lengths, judges."""
