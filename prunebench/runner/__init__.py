"""Jobs: train baselines, compute curves, measure cells, follow progress, free disk."""
