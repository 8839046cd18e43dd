"""Recompute and compare: cells of a finished experiment, and submissions of others."""
