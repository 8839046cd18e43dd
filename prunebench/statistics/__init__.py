"""Statistics on records: a table of cells in, scores with their uncertainty out. Never torch.

``score`` is the entry for methods, ``estimate`` for any other number; ``read_cells`` reads and
checks a grid's table, ``read_table`` also one of others, with fewer columns.
"""

from prunebench.statistics.bands import bands, best_on_validation
from prunebench.statistics.bootstrap import DRAWS
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import (
    chance_errors,
    check_cells,
    counted,
    read_cells,
    under_trained,
)
from prunebench.statistics.estimate import (
    EQUIVALENT,
    HIGHER,
    LOWER,
    UNRESOLVED,
    Estimate,
    decide,
    estimate,
    in_words,
)
from prunebench.statistics.foreign_tables import read_table
from prunebench.statistics.score import EQUIVALENCE, RANDOM, score, score_subsets
from prunebench.statistics.significance import (
    ALPHA,
    holm,
    sign_flip,
    signed_rank,
    smallest_p,
    verdict,
)

__all__ = [
    "ALPHA", "DRAWS", "EQUIVALENCE", "EQUIVALENT", "HIGHER", "LOWER", "RANDOM", "SETTING",
    "UNRESOLVED", "Estimate", "bands", "best_on_validation", "chance_errors", "check_cells",
    "counted", "decide", "estimate", "holm", "in_words", "read_cells", "read_table", "score",
    "score_subsets", "sign_flip", "signed_rank", "smallest_p", "under_trained", "verdict",
]  # fmt: skip
