"""Submissions: a method with its code, its records and its masks in one folder.

``pack`` makes the folder from a finished experiment, ``submission_folder`` reads it, ``check``
checks it. The folder holds:

    submission.yaml   name, method, description, paper, contact
    config.json       resolved configuration of the experiment
    cells.csv         its records, one for every cell of the grid
    provenance.json   code, packages, machine and command that made the records
    *.py              Python files that config.json names
    cells/<task>/<regime>/<model>/seed-<n>/<method>/<sparsity>/masks.safetensors
"""
