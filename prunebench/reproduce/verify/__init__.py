"""Some cells of a finished experiment computed anew, elsewhere, and compared with its records.

``stored.load`` reads the experiment, ``again.rerun`` draws cells and computes them in a folder of
its own, ``compare`` judges each, ``words`` says it.
"""
