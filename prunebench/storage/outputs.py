"""Outputs of each step, from cells.csv to the kit of a paper: whole, or made again.

Each step keeps a manifest of what it wrote. A step without one (an earlier version's, a table that
was brought here) is taken as it is. A file that is not as its step wrote it, by the disk's fault or
by hand, is moved aside, never deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.storage import mlflow_database
from prunebench.storage.files import move, read_sealed, remove_file, remove_tree, unused
from prunebench.storage.layout import STEPS, Layout
from prunebench.storage.manifest import Manifest

DAMAGED = "damaged"  # below the experiment's folder: where files are moved to


def manifest_of(layout: Layout, step: str) -> Manifest:
    """Return the manifest of a step: of files in the experiment's folder, or of MLflow's copies."""
    root = layout.artifacts if step == "track" else layout.root
    return Manifest(layout.root / "jobs" / "noted" / f"{step}.json", root)


@contextmanager
def recorded(layout: Layout, step: str) -> Iterator[list[Path]]:
    """Yield a list for the files that the block writes; they are the step's manifest in the end.

    A block that is left by an error or a kill leaves the step unfinished. A crate that describes
    what the step writes is removed first.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
    """
    manifest = manifest_of(layout, step)
    manifest.begin()
    if STEPS[step].files:  # a crate names their hashes
        remove(layout, "crate")
    written: list[Path] = []
    yield written
    manifest.write(written)


def damaged(
    layout: Layout, thorough: bool = False, mend: bool = True, beside: bool = True
) -> dict[Path, Path | None]:
    """Return files that are not as their step wrote them, and where what they hold was moved to.

    The output of such a step is removed, so that it is made again.

    Args:
        layout: of the experiment.
        thorough: read every file, instead of trusting lengths and times.
        mend: move and remove files; without it nothing is touched.
        beside: look at the export to MLflow's store, which lies beside the experiment's folder.

    Raises:
        Unwritable: a file cannot be moved or removed.
    """
    found: dict[Path, Path | None] = {}
    for step, output in layout.steps().items():
        manifest = manifest_of(layout, step)
        if not manifest.path.exists() or (manifest.root != layout.root and not beside):
            continue
        listed, (exported, moved) = manifest.listed(), _export(layout, step)
        again = moved or listed is None
        changed = [] if again else _changed(manifest, output, thorough) + exported
        aside = {}
        if mend and changed:
            aside = _move_aside(layout, _foreign(listed or set(), output, changed))
        if mend and (again or changed):
            remove(layout, step)
        found |= {path: aside.get(path) for path in changed}
    return found


def without_manifest(layout: Layout) -> list[str]:
    """Return the steps whose output is there, but no manifest of it."""
    return [
        step for step, output in layout.steps().items()
        if output.exists() and not manifest_of(layout, step).path.exists()
    ]  # fmt: skip


def remove(layout: Layout, step: str) -> None:
    """Remove a step's output and its manifest.

    Raises:
        Unwritable: a folder may not be written.
    """
    remove_tree(layout.steps()[step])
    manifest_of(layout, step).remove()


def _changed(manifest: Manifest, output: Path, thorough: bool) -> list[Path]:
    """Return files of a step that are not as it wrote them; of a missing folder no single ones."""
    changed = manifest.damaged(thorough)
    if output.exists():
        return changed
    return [output, *(path for path in changed if not path.is_relative_to(output))]


def _export(layout: Layout, step: str) -> tuple[list[Path], bool]:
    """Return what is damaged of an export to MLflow's database beside the experiment.

    That is the file that describes the export, or the database: other experiments write into it
    too, so it is in no manifest. The second value: whether the experiment was moved since, away
    from its export.
    """
    said = layout.steps()[step]
    if step != "track" or not said.exists():
        return [], False
    try:
        name = read_sealed(said).get("beside")
    except PrunebenchError:
        return [said], False
    if not isinstance(name, str | None):
        return [said], False
    if name and not layout.database.exists() and not layout.artifacts.exists():
        return [], True
    fault = name and mlflow_database.fault(layout.database, name)
    return [layout.database] if fault else [], False


def _foreign(listed: set[Path], output: Path, changed: list[Path]) -> Iterator[Path]:
    """Yield the files that may hold what the step did not write."""
    yield from (path for path in changed if path in listed)
    for path in sorted(output.rglob("*")) if output.is_dir() else [output]:
        # Snakemake leaves a hidden file in a folder that it asked for
        if path not in listed and path.name[0] != ".":
            yield path


def _move_aside(layout: Layout, files: Iterable[Path]) -> dict[Path, Path]:
    """Move files that are not empty into DAMAGED; return where each of them is now.

    A damaged copy of MLflow's is removed: the export makes another one of the original.
    """
    moved: dict[Path, Path] = {}
    for path in list(files):
        if not path.is_relative_to(layout.root):
            remove_file(path)
        elif path.is_file() and path.stat().st_size:
            target = unused(layout.root / DAMAGED / path.relative_to(layout.root))
            move(path, target)
            moved[path] = target
    return moved
