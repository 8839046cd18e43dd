"""What was damaged since it was written: found by hash, named, and given back to be computed anew.

Snakemake sees whether the file of a job is there, not what lies in the cells. So before it looks,
the cells of finished jobs are looked at here; the file of a job with a damaged cell is removed.
A file that is older than the record that names its hash is taken for what it was: all were synced
before the record was written. ``thorough`` reads every file: after a failure of the disk itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, Unwritable
from prunebench.files import read_json, read_sealed, sha256_file, write_sealed
from prunebench.layout import LATENCY, PROBES, RECORD, Layout
from prunebench.plan import Plan
from prunebench.records import DIVERGED, FAILED
from prunebench.removal import note

# what is made of cells.csv; removing that makes all of it anew
_DERIVED = ("cells.csv", "latency.csv", "layers.csv", "tables/*", "figures/*", "leaderboard.*",
            "report.*")  # fmt: skip
_OUTPUTS = "jobs/outputs.json"


def damaged(plan: Plan, prepared: Iterable[Path] = (), thorough: bool = False) -> list[str]:
    """Remove what stands on damaged files, so that it is computed anew; name these files.

    ``prepared``: the prepared data of the tasks. Nothing is removed that is whole, but for what is
    made of it in seconds: the measures of a job and cells.csv.
    """
    by_job = {
        name: found for name, cells, check in _jobs(plan, thorough)
        if (found := _of_job(plan, name, cells, check))
    }  # fmt: skip
    measures = list(_measures(plan, set(by_job)))
    data = [path for file in prepared for path in _prepared(file, thorough)]
    found = [*data, *(path for paths in by_job.values() for path in paths), *measures]
    if by_job or measures:
        plan.layout.cells_csv.unlink(missing_ok=True)
        unseal(plan.layout)
    return list(dict.fromkeys(map(str, [*found, *_derived(plan.layout, thorough)])))


Check = Callable[[Path], list[Path]]  # the damaged files of a cell's folder


def _jobs(plan: Plan, thorough: bool) -> Iterator[tuple[str, list[Path], Check]]:
    """Every job that writes into cells: its name, its cells, and what to look at in each."""
    for kind, jobs in (("baselines", plan.baseline_jobs), ("curves", plan.curve_jobs)):
        for name in jobs:
            cells = [cell.folder for cell in plan.cells_of(kind, name)]
            yield f"{kind}/{name}", cells, partial(_cell, thorough=thorough)
    looks = (("probes", PROBES, plan.probe_jobs), ("latencies", LATENCY, plan.latency_jobs))
    for kind, file, looking in looks:
        for name in looking:
            cells = [cell.folder for cell in plan.cells_of(kind, name)]
            yield f"{kind}/{name}", cells, partial(_look, name=file)


def _of_job(plan: Plan, name: str, cells: Iterable[Path], check: Check) -> list[Path]:
    """Damaged files of a finished job; its file goes if there are any."""
    target = plan.layout.root / "jobs" / f"{name}.json"
    if not target.exists():
        return []
    found = [path for cell in cells for path in check(cell)]
    if _unreadable(read_json, target):
        found.append(target)
    if found:
        target.unlink()
    return found


def _measures(plan: Plan, gone: set[str]) -> Iterator[Path]:
    """Damaged measures; these go, and those of jobs that are ``gone``.

    Snakemake would not ask for the file of a job as long as what is made of it is there.
    """
    for name, job in plan.measure_jobs.items():
        path = plan.layout.measured(name)
        stands_on = {
            *(f"baselines/{other}" for other in plan.baseline_jobs_of(job)),
            *(f"curves/{other}" for other in plan.curve_jobs_of(job)),
            *("/".join(look) for look in plan.looks_of(job)),
        }
        if path.exists() and _unreadable(read_sealed, path):
            path.unlink()
            yield path
        elif stands_on & gone:
            path.unlink(missing_ok=True)


def _unreadable(read: Callable[[Path], Any], path: Path) -> bool:
    try:
        read(path)
    except PrunebenchError:
        return True
    return False


def _cell(folder: Path, thorough: bool) -> list[Path]:
    record = folder / RECORD
    try:
        said = read_sealed(record)
        files = said["files"]
    except (PrunebenchError, KeyError):
        return [record]
    written = record.stat().st_mtime_ns
    removed = note(folder, said)["removed"]
    return [
        folder / name
        for name, sha in files.items()
        if name not in removed and not _as_written(folder / name, sha, written, thorough)
    ]


def _as_written(path: Path, sha: str, written: int, thorough: bool) -> bool:
    """Whether a file has the content that was said of it at the time ``written`` (ns)."""
    try:
        unchanged = path.stat().st_mtime_ns <= written
        return (unchanged and not thorough) or sha256_file(path) == sha
    except OSError:
        return False


def _look(folder: Path, name: str) -> list[Path]:
    try:
        looked_at = read_sealed(folder / RECORD)["status"] not in (FAILED, DIVERGED)
    except (PrunebenchError, KeyError):
        return []  # its own job is told of it
    return [folder / name] if looked_at and _unreadable(read_sealed, folder / name) else []


def _prepared(path: Path, thorough: bool) -> list[Path]:
    sidecar = Path(f"{path}.json")
    if not path.exists() or not sidecar.exists():
        return []
    try:
        sha = read_json(sidecar)["sha256"]
    except (PrunebenchError, KeyError, TypeError):
        found = [sidecar]
    else:
        whole = _as_written(path, sha, sidecar.stat().st_mtime_ns, thorough)
        found = [] if whole else [path]
    if found:
        path.unlink()
        sidecar.unlink()
    return found


def _outputs(layout: Layout) -> Iterator[Path]:
    for pattern in _DERIVED:
        yield from (path for path in sorted(layout.root.glob(pattern)) if path.is_file())


def seal(layout: Layout) -> None:
    """Note the hashes of what was made of the records."""
    hashes = {str(p.relative_to(layout.root)): sha256_file(p) for p in _outputs(layout)}
    write_sealed(layout.root / _OUTPUTS, {"files": hashes})


def unseal(layout: Layout) -> None:
    """Say that some of it is about to be made anew."""
    try:
        (layout.root / _OUTPUTS).unlink(missing_ok=True)
    except OSError as error:
        raise Unwritable(f"cannot write {layout.root}: {error.strerror}") from error


def _derived(layout: Layout, thorough: bool) -> list[Path]:
    """Tables, figures and pages that are not what was sealed; they go, and cells.csv with them."""
    sealed = layout.root / _OUTPUTS
    try:
        files = read_sealed(sealed)["files"]
    except (PrunebenchError, KeyError):
        return []
    written = sealed.stat().st_mtime_ns
    found = [
        layout.root / name
        for name, sha in files.items()
        if not _as_written(layout.root / name, sha, written, thorough)
    ]
    if found:
        layout.cells_csv.unlink(missing_ok=True)
        sealed.unlink()
    return found
