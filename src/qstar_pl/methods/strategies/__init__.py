"""Choices within a method: which answers are kept, how the price of a nat moves, how β is learned."""
