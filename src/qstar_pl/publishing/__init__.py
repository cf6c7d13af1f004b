"""What goes with an exported model: its card, and its way to the hub."""
