"""Read the folder that open_lth leaves of an experiment: its logs, never its pickled networks.

``lottery_<hash>/replicate_<n>/level_<m>/main/`` holds ``logger`` (lines ``name,iteration,value``),
``sparsity_report.json`` (``total``, ``unpruned``) and ``hparams.log`` (``* name => value``), as
github.com/facebookresearch/open_lth writes them (training/metric_logger.py, pruning/mask.py,
foundations/desc.py).
"""

from __future__ import annotations

import re
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.published.foreign_bytes import read_bytes
from prunebench.published.read_foreign import ForeignTable
from prunebench.storage.files import read_json

# of the hyperparameters, what tells experiments apart
_HPARAMS = ("dataset_name", "model_name", "pruning_strategy")
_METRICS = ("test_accuracy", "train_accuracy", "test_loss")
_HPARAM = re.compile(r"\s*\* (\w+) => (.*)")
HEADER = ["replicate", "level", "density", *_METRICS, *_HPARAMS]


def read_open_lth(folder: Path) -> ForeignTable:
    """Return a row of each replicate and level that was trained to its end.

    Args:
        folder: ``lottery_<hash>``, or a folder of several.

    Raises:
        PrunebenchError: It holds none, or a file is damaged.
    """
    runs = sorted(
        (int(path.parent.parent.name.rpartition("_")[2]), int(path.parent.name[6:]), path)
        for path in folder.glob("**/replicate_*/level_*/main")
        if re.fullmatch(r"replicate_\d{1,9}/level_\d{1,9}", "/".join(path.parts[-3:-1]))
    )
    rows: list[tuple[int, list[str]]] = []
    left = 0
    for replicate, level, path in runs:
        values = {**_hparams(path, level), **_last_metrics(path / "logger"), "level": str(level)}
        values |= {"replicate": f"replicate_{replicate}", "density": _density(path)}
        if values.get("test_accuracy"):
            rows.append((len(rows) + 2, [values.get(name, "") for name in HEADER]))
        else:
            left += 1
    if not rows:
        raise PrunebenchError(
            f"{folder} is a folder without results of open_lth, replicate_1/level_0/main/logger:"
            " give a table"
        )
    return ForeignTable(HEADER, rows, (f"{left} levels have no test accuracy",) if left else ())


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    return read_bytes(path).decode("utf-8", errors="replace")


def _hparams(run: Path, level: int) -> dict[str, str]:
    """Return the settings of an experiment; open_lth may write them at level 0 alone."""
    zero = run.parent.parent / "level_0" / "main"
    text = _text(run / "hparams.log") or _text(zero / "hparams.log")
    found = [match for line in text.splitlines() if (match := _HPARAM.fullmatch(line))]
    # the first of a name: those of pretraining follow
    return {match[1]: match[2].strip() for match in reversed(found) if match[1] in _HPARAMS}


def _last_metrics(path: Path) -> dict[str, str]:
    """Return each metric at its last iteration."""
    last: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        fields = line.split(",")
        if len(fields) != 3 or not fields[1].isascii() or not fields[1].isdigit():
            raise PrunebenchError(f"{path} line {number} is no name,iteration,value")
        name, iteration, value = fields[0], int(fields[1][:15]), fields[2]
        if name in _METRICS and iteration >= last.get(name, (0, ""))[0]:
            last[name] = iteration, value
    return {name: value for name, (_, value) in last.items()}


def _density(run: Path) -> str:
    path = run / "sparsity_report.json"
    report = read_json(path) if path.is_file() else {}
    try:
        return repr(float(report["unpruned"]) / float(report["total"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        said = f"{path} is to hold total and unpruned, the numbers of weights"
        raise PrunebenchError(said) from None
