"""What is measured of every cell, how cells differ, and how sure that is; nothing here says how it is written."""
