"""Automatic pruning: how much of each layer goes is measured, not set by hand."""
