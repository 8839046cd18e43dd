"""Statistics on records: a table of cells in, scores with their uncertainty out. Never torch.

``score`` is the entry; ``read_cells`` reads and checks any tidy CSV with the right columns.
"""

from prunebench.statistics.bands import bands, best_on_validation
from prunebench.statistics.cells import (
    chance_errors,
    check_cells,
    counted,
    read_cells,
    under_trained,
)
from prunebench.statistics.grid import SETTING
from prunebench.statistics.score import ALPHA, DRAWS, score, score_subsets
from prunebench.statistics.significance import holm, sign_flip, smallest_p, verdict

__all__ = [
    "ALPHA", "DRAWS", "SETTING", "bands", "best_on_validation", "chance_errors", "check_cells",
    "counted", "holm", "read_cells", "score", "score_subsets", "sign_flip", "smallest_p",
    "under_trained", "verdict",
]  # fmt: skip
