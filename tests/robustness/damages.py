"""Every kind of file that a run leaves, what stands on it, and the ways in which it is damaged."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from prunebench.storage.files import sha256_file


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def less(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """One bit, not of a space: one space for another says the same."""
    content = bytearray(path.read_bytes())
    places = [i for i in range(len(content) // 2, len(content)) if content[i] > ord(" ")]
    if places:
        content[places[0]] ^= 1
        path.write_bytes(content)
    else:
        path.unlink()


def blank(path: Path) -> None:
    """Of the right length and never written, as some file systems leave it without power."""
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: list[Callable[[Path], None]] = [empty, half, less, flip, blank, Path.unlink]

CURVE, DENSE = r"results/tiny/cells/.*/(?:random|imp)/.*/", r"results/tiny/cells/.*/dense/0/"
# round -> kinds of files; what a round damages at once hides nothing of the others
ROUNDS = {
    # nothing stands on them
    "aside": [
        r"results/tiny/\.lock", r"results/tiny/config\.json", r"results/tiny/jobs/measured\.txt",
        r"results/tiny/logs/.*", r".*/\.snakemake_timestamp",
        r"results/tiny/jobs/(download|prepare)/.*",
        r"\.snakemake/log/.*", r"\.snakemake/metadata/.*",
    ],
    # made of the records, by a step each
    "pages": [
        *(rf"results/tiny/tables/.*\.{ending}" for ending in ("csv", "md", "tex")),
        *(rf"results/tiny/figures/.*\.{ending}" for ending in ("png", "pdf")),
        *(rf"results/tiny/leaderboard\.{ending}" for ending in ("csv", "md", "html")),
        *(rf"results/tiny/report\.{ending}" for ending in ("md", "html")),
        *(rf"results/tiny/paper/.*\.{ending}" for ending in ("tex", "md", "bib", "png", "pdf")),
        r"results/tiny/ro-crate-metadata\.json", r"results/mlflow\.db",
    ],
    "records": [
        *(rf"results/tiny/{name}\.csv" for name in ("cells", "latency", "layers")),
        r"results/tiny/provenance\.json", r"results/tiny/workflow/.*",
        r"results/tiny/jobs/track\.json", r"results/mlartifacts/.*",
        r"results/tiny/jobs/noted/(?!collect|track).*",
    ],
    "curves": [
        rf"{CURVE}record\.json",
        *(rf"{CURVE}{name}\.safetensors" for name in ("masks", "weights", "predictions")),
        *(rf"{CURVE}{name}\.json" for name in ("history", "probes", "latency")),
        *(rf"results/tiny/jobs/{kind}/.*" for kind in
          ("curves", "probes", "latencies", "measures")),
        r"data/prepared/.*\.note\.json", r"results/tiny/jobs/noted/collect\.json",
    ],
    "baselines": [
        rf"{DENSE}record\.json",
        *(rf"{DENSE}{name}\.safetensors" for name in
          ("initial", "rewind-2", "weights", "predictions", "targets")),
        *(rf"{DENSE}{name}\.json" for name in ("history", "probes", "latency")),
        r"results/tiny/jobs/baselines/.*", r"results/tiny/jobs/noted/track\.json",
        r"data/prepared/.*\.safetensors", r"data/prepared/.*\.safetensors\.json",
    ],
}  # fmt: skip
FOLDERS = ("results/tiny", "results/mlflow.db", "results/mlartifacts", "data", ".snakemake")


def files(place: Path) -> Iterator[Path]:
    """Every file of a run, below the folder in which it ran."""
    for name in FOLDERS:
        top = place / name
        found = sorted(top.rglob("*")) if top.is_dir() else [top]
        yield from (path.relative_to(place) for path in found if path.is_file())


def by_kind(place: Path, kinds: list[str]) -> dict[str, list[Path]]:
    """The files of each kind."""
    there = list(files(place))
    return {kind: [p for p in there if re.fullmatch(kind, p.as_posix())] for kind in kinds}


def choose(place: Path, kinds: list[str], draw: random.Random) -> list[Path]:
    """One file of each kind: of curves' cells, each in another; none beside a damaged record."""
    chosen: list[Path] = []
    for kind, found in by_kind(place, kinds).items():
        taken = {p.parent for p in chosen if p.name == "record.json" or kind.startswith(CURVE)}
        chosen.append(draw.choice([path for path in found if path.parent not in taken]))
    return chosen


def hashes(place: Path) -> dict[str, str]:
    """The hash of every file."""
    return {path.as_posix(): sha256_file(place / path) for path in files(place)}


def restore(whole: Path, place: Path) -> None:
    """Bring back every file of a run, with its times."""
    for name in FOLDERS:
        source, target = whole / name, place / name
        shutil.rmtree(target, ignore_errors=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
