"""What is made of the records, from cells.csv to the paper's kit: whole, or made anew.

Each step notes what it wrote: that it has begun, so that it vouches for nothing half made, and in
the end each file. A step of which nothing is noted (an earlier version's, a table that was brought
here) is taken as it is. What a file that is not as it was noted holds, by the disk's fault or by
hand, is put aside, never deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage import mlflow_database
from prunebench.storage.files import read_sealed, remove_file, unused, writing
from prunebench.storage.layout import STEPS, Layout
from prunebench.storage.manifest import Note

ASIDE = "damaged"  # below the experiment's folder


def note_of(layout: Layout, step: str) -> Note:
    """Where a step notes what it wrote: below the experiment's folder, or MLflow's copies."""
    root = layout.artifacts if step == "track" else layout.root
    return Note(layout.root / "jobs" / "noted" / f"{step}.json", root)


@contextmanager
def making(layout: Layout, step: str) -> Iterator[list[Path]]:
    """Note, when the block is done, the files that it puts into the list."""
    note = note_of(layout, step)
    note.begin()
    if STEPS[step].files:  # a crate names their hashes
        remove(layout, "crate")
    made: list[Path] = []
    yield made
    note.write(made)


def damaged(layout: Layout, thorough: bool = False, mend: bool = True) -> dict[Path, Path | None]:
    """Files that are not as their step wrote them, and where what they hold was put, if anywhere.

    That step's output goes, so that it is made anew; nothing is touched without ``mend``.
    """
    found: dict[Path, Path | None] = {}
    for step, output in layout.steps().items():
        note = note_of(layout, step)
        if not note.path.exists():
            continue
        again = note.begun() or (step == "track" and _moved(layout))  # begun: killed on its way
        changed = [] if again else _changed(layout, step, thorough)
        kept = _put_aside(layout, _others(note, output, changed)) if mend and changed else {}
        if mend and (again or changed):
            remove(layout, step)
        found |= {path: kept.get(path) for path in changed}
    return found


def unnoted(layout: Layout) -> list[str]:
    """Steps whose output is there with nothing noted of it."""
    return [
        step for step, output in layout.steps().items()
        if output.exists() and not note_of(layout, step).path.exists()
    ]  # fmt: skip


def remove(layout: Layout, step: str) -> None:
    """Take away a step's output, and what is noted of it. Raises Unwritable where that fails."""
    output = layout.steps()[step]
    if output.is_dir():
        with writing(output):
            shutil.rmtree(output)
    else:
        remove_file(output)
    note_of(layout, step).remove()


def _changed(layout: Layout, step: str, thorough: bool) -> list[Path]:
    """Files of a step that are not as it wrote them."""
    output = layout.steps()[step]
    changed = note_of(layout, step).changed(thorough)
    if not output.exists():
        return [output, *(path for path in changed if not path.is_relative_to(output))]
    return changed + (_of_export(layout) if step == "track" else [])


def _of_export(layout: Layout) -> list[Path]:
    """What is damaged of an export beside MLflow's copies: what it said, or the database."""
    output = layout.steps()["track"]
    try:
        name = read_sealed(output).get("beside")
    except PrunebenchError:
        return [output]
    # other experiments write into the database too, so no hash can be noted of it
    return [layout.database] if name and mlflow_database.fault(layout.database, name) else []


def _moved(layout: Layout) -> bool:
    """Whether the experiment was exported beside itself, and is no longer there."""
    if layout.database.exists() or layout.artifacts.exists():
        return False
    try:
        return bool(read_sealed(layout.steps()["track"]).get("beside"))
    except PrunebenchError:
        return False


def _others(note: Note, output: Path, changed: list[Path]) -> list[Path]:
    """Files that may hold what the step did not write."""
    noted = set(note.files())
    # Snakemake leaves a hidden file in a folder that it asked for
    inside = (path for path in output.rglob("*") if path.is_file() and path.name[0] != ".")
    there = sorted(inside) if output.is_dir() else [output]
    return [*(path for path in changed if path in noted), *(p for p in there if p not in noted)]


def _put_aside(layout: Layout, files: list[Path]) -> dict[Path, Path]:
    """Keep what files hold, but what is empty; of a copy elsewhere MLflow is given another.

    Returns where each was put.
    """
    found: dict[Path, Path] = {}
    for path in files:
        if not path.is_relative_to(layout.root):
            remove_file(path)
        elif path.is_file() and path.stat().st_size:
            target = unused(layout.root / ASIDE / path.relative_to(layout.root))
            with writing(path):
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
            found[path] = target
    return found
