"""What is claimed of q*, each with its verdict and the numbers behind it; proofs are in docs/theory.md."""
