"""What is made of the records, from cells.csv to the paper's kit: whole, or made anew.

Each step notes what it wrote. The note is taken away before the step begins and written when it is
done, so that it vouches for nothing half made. A file that is not as it was noted, by the disk's
fault or by hand, is put aside, never deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prunebench import database
from prunebench.errors import Unwritable
from prunebench.files import read_sealed
from prunebench.layout import Layout
from prunebench.notes import Note

ASIDE = "damaged"  # below the experiment's folder


def note_of(layout: Layout, step: str) -> Note:
    """Where a step notes what it wrote."""
    return Note(layout.root / "jobs" / "made" / f"{step}.json", layout.root.parent)


@contextmanager
def making(layout: Layout, step: str) -> Iterator[list[Path]]:
    """Note, when the block is done, the files that it puts into the list."""
    note = note_of(layout, step)
    note.remove()
    made: list[Path] = []
    yield made
    note.write(made)


def _changed(layout: Layout, step: str, thorough: bool) -> list[Path]:
    """Files of a step that are not as it wrote them."""
    output = layout.steps()[step]
    changed = note_of(layout, step).changed(thorough)
    if not output.exists():
        return [output, *(path for path in changed if not path.is_relative_to(output))]
    if changed or step != "track":
        return changed
    # other experiments write into the database too, so no hash can be noted of it
    beside = read_sealed(output).get("beside")
    return [layout.database] if beside and database.fault(layout.database, beside) else []


def damaged(layout: Layout, thorough: bool = False) -> list[Path]:
    """Files that are not as their step wrote them; that step's output goes, so it is made anew."""
    found = []
    for step, output in layout.steps().items():
        note = note_of(layout, step)
        if not output.exists() and not note.path.exists():
            continue  # not made yet
        changed = _changed(layout, step, thorough)
        if not changed:
            continue
        if note.path.exists():  # else the step was killed on its way
            found += changed
        _put_aside(layout, [path for path in changed if path in note.files()])
        remove(layout, step)
    return found


def remove(layout: Layout, step: str) -> None:
    """Take away a step's output, and what is noted of it. Raises Unwritable where that fails."""
    output = layout.steps()[step]
    note_of(layout, step).remove()
    try:
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
    except OSError as error:
        raise Unwritable(f"cannot write {output}: {error.strerror}") from error


def aside(layout: Layout, path: Path) -> Path | None:
    """Where the content of a damaged file was put; None where it was not."""
    if not path.is_relative_to(layout.root):
        return None
    target = layout.root / ASIDE / path.relative_to(layout.root)
    return target if target.exists() else None


def _put_aside(layout: Layout, changed: list[Path]) -> None:
    """Keep what somebody may have written by hand; not what is empty, or a copy elsewhere."""
    for path in changed:
        try:
            if not path.is_relative_to(layout.root) or not path.is_file():
                path.unlink(missing_ok=True)
            elif path.stat().st_size:
                target = layout.root / ASIDE / path.relative_to(layout.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        except OSError as error:
            raise Unwritable(f"cannot write {path}: {error.strerror}") from error
