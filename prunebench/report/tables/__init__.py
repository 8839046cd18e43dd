"""Tables of a paper, from cells.csv alone. Never torch."""
