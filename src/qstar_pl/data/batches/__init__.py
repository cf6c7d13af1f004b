"""From encoded rows to the batches that a method trains on."""
