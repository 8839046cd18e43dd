"""Measures of stored predictions, and probes of stored networks."""
