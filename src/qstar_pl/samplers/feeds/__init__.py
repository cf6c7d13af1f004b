"""Models that read answers which grow by blocks and give some of them back."""
