"""Turn a table of cells into scores and estimates with their uncertainty. Never imports torch.

``score`` is the entry for methods, ``estimate`` for any other number; ``read_cells`` reads and
checks a grid's table, ``read_table`` also one of others, with fewer columns.
"""

from prunebench.experiment.reachable_p import smallest_p
from prunebench.statistics.bands import bands
from prunebench.statistics.best_methods import best_on_validation
from prunebench.statistics.bootstrap import DRAWS
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import check_cells, read_cells, read_table
from prunebench.statistics.counted_cells import chance_errors, counted, under_trained
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
from prunebench.statistics.robust_summaries import performance_profiles, robust_summaries
from prunebench.statistics.score import EQUIVALENCE, RANDOM, score, score_subsets
from prunebench.statistics.significance import (
    ALPHA,
    holm,
    sign_flip,
    signed_rank,
    verdict,
)

__all__ = [
    "ALPHA", "DRAWS", "EQUIVALENCE", "EQUIVALENT", "HIGHER", "LOWER", "RANDOM", "SETTING",
    "UNRESOLVED", "Estimate", "bands", "best_on_validation", "chance_errors", "check_cells",
    "counted", "decide", "estimate", "holm", "in_words", "performance_profiles", "read_cells",
    "read_table", "robust_summaries", "score", "score_subsets", "sign_flip",
    "signed_rank", "smallest_p", "under_trained", "verdict",
]  # fmt: skip
