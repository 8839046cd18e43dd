"""Data sets with their splits: sources, preparation, regimes, minibatches."""
