"""q* inside other engines' decoding: logits processors, each in the module that is named for its engine."""
