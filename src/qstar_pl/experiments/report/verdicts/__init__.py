"""What the numbers say about q*: hypotheses H1 to H5, five criteria of success, the quick validation's checks."""
