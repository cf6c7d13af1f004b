"""From a dataset's own rows to examples: one adapter per schema, and what they share."""
