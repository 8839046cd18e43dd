"""Compression that is real: shrink, encode, quantize, time and export a pruned network."""
