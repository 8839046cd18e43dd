"""Import the results of others beside one's own, and compare experiments. Never imports torch."""
