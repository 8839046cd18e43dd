"""The work of one process: the baselines and curves of one task, on one device."""
