"""Recomputing and comparing: cells of a finished experiment, and submissions of others."""
