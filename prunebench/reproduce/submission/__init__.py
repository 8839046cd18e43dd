"""A method that somebody submits: a folder with its file, its records and its masks, checked.

``form`` reads the folder, ``check`` goes over it, ``pack`` makes it of a finished experiment.

    submission.yaml   name, method, description, paper, contact
    config.json       the resolved configuration of the experiment
    cells.csv         its records, every cell of the grid
    provenance.json   what made them
    *.py              the files that config.json names
    cells/<task>/<regime>/<model>/seed-<n>/<method>/<sparsity>/masks.safetensors
"""
