"""Networks and the loop that trains them: models, optimizers, checkpoints."""
