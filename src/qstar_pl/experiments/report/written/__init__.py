"""Tables as markdown and LaTeX, the same byte for byte from the same results."""
