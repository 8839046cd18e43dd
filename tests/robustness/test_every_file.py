"""Every kind of file of a finished run, damaged: noticed, named, whole after the next."""

from __future__ import annotations

import random
import re
from itertools import cycle
from pathlib import Path

import pandas as pd
import pytest

from prunebench.storage.records import COST

from .damages import DAMAGES, ROUNDS, by_kind, choose, files, hashes, restore
from .disturbed import GRID, Place, assert_same

pytestmark = pytest.mark.slow

CHANGES = {
    "training": {**GRID["training"], "rewind_epochs": [2]},
    "latency": {"engines": ["eager"], "batches": [1], "seeds": 2, "repeats": 3, "warm_up": 1},
}
# what need not come back to the bit: logs, scratch, what nobody asks for, what MLflow names
UNLIKE = re.compile(
    r"\.snakemake/.*|.*/logs/.*|.*/\.lock|.*/damaged/.*|results/ml.*|.*/jobs/(noted/)?track\.json"
    r"|.*/jobs/measured\.txt|.*/jobs/(download|prepare)/.*"
)
TIMES = [name for name in COST if name != "train_epochs"]


def cells(place: Place) -> pd.DataFrame:
    """The records, without times."""
    return pd.read_csv(place.results / "cells.csv").drop(columns=TIMES)


def computed(chosen: list[Path]) -> set[str]:
    """The records of the cells whose own files are damaged."""
    looks = ("probes.json", "latency.json")
    folders = {path.parent for path in chosen if "cells" in path.parts and path.name not in looks}
    return {str(folder.relative_to("results/tiny") / "record.json") for folder in folders}


def says_nothing(path: Path, damage: object) -> bool:
    """Whether the damage may look as if something had not been finished, or noted, yet."""
    if path.name == "collect.json":  # goes with the damaged cells
        return True
    note = path.parts[2:3] == ("jobs",) or path.name.endswith(".note.json")
    return note and damage == Path.unlink


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path]:
    """A place with a finished run in it, and a copy of all its files."""
    folder = tmp_path_factory.mktemp("files")
    place, whole = Place.make(folder / "place", **CHANGES), folder / "whole"
    place.run(*place.everything())
    (whole / "results").mkdir(parents=True)
    restore(place.folder, whole)
    return place, whole


def test_every_file_is_of_a_kind(run: tuple[Place, Path]) -> None:
    place, _ = run
    kinds = [kind for found in ROUNDS.values() for kind in found]
    known = {path for found in by_kind(place.folder, kinds).values() for path in found}
    assert set(files(place.folder)) - known == set()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ROUNDS)
def test_damaged_files_come_back(run: tuple[Place, Path], name: str, seed: int) -> None:
    place, whole = run
    restore(whole, place.folder)
    draw = random.Random(f"{name} {seed}")
    chosen = choose(place.folder, ROUNDS[name], draw)
    damages = dict(zip(chosen, cycle(draw.sample(DAMAGES, len(DAMAGES))), strict=False))
    for path, damage in damages.items():
        print(damage.__name__, path)
        damage(place.folder / path)
    then, before = hashes(whole), place.records()

    output = place.run(*place.everything())
    print(output)
    assert "Traceback" not in output
    said = set(re.findall(r"^damaged: (\S+) is missing or not as it was written", output, re.M))
    every = {path.as_posix() for path in chosen}
    silent = {path.as_posix() for path, damage in damages.items() if says_nothing(path, damage)}
    assert (set() if name == "aside" else every - silent) <= said <= every
    after = place.records()
    assert {path for path in after if after[path] != before.get(path)} == computed(chosen)
    timed = [path for path in place.bits() if path.endswith("latency.json")]
    assert_same(place.bits(), Place(whole).bits(), ignore=timed)
    pd.testing.assert_frame_equal(cells(place), cells(Place(whole)))
    now = hashes(place.folder)
    # a note that is gone is written when what it is of is made again
    lost = {path for path in silent if "/noted/" in path and not path.endswith("collect.json")}
    expected = {path for path in then if not UNLIKE.fullmatch(path)} - lost
    assert expected - set(now) == set()
    if name in ("aside", "pages"):
        assert {path for path in expected if now[path] != then[path]} == set()
    assert "Nothing to be done" in place.run(*place.everything())
