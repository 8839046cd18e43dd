"""Tables, figures and the leaderboard, from cells.csv alone. Never torch."""
