"""Real compression: shrink, encode, quantize, time and export a pruned network."""
