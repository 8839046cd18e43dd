"""Compute some cells of a finished experiment again and compare them with its records.

``stored_experiment`` reads the experiment and draws cells, ``recompute`` computes them in a
temporary folder, ``compare_records`` gives a verdict on each, ``verdict_text`` writes the verdicts
for people and for programs.
"""
