"""Declare that edits of source files changed no bits, once a grid shows it. Run by hand.

    python benchmarks/unchanged_code.py BEFORE [--config config/smoke.yaml] [--unshown]

BEFORE is a checkout of an earlier commit. The grid is computed in both checkouts; where every
stored tensor is the same to the bit, each source file whose hash has changed is declared in
``prunebench/experiment/unchanged_code.json`` to count as it did before. So a refactoring leaves
the results valid that were computed before it. ``--unshown`` skips the grid: for a second call
after a change of words alone.

A grid shows only what it runs: read the change of every file that this declares.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from prunebench.experiment.sources import BASELINE, FOLLOWED, PRUNING

HERE = Path(__file__).resolve().parents[1]
DECLARED = HERE / "prunebench/experiment/unchanged_code.json"
# path -> logical name, the hash that counts, and the file's own
HASHES = """
import json, sys
from pathlib import Path
root = Path(sys.argv[1]) / "prunebench"
sys.path.insert(0, sys.argv[1])
try:
    from prunebench.experiment import code_identity as identity
except ImportError:  # before there were rooms
    from prunebench import identity
named = getattr(identity, "_named_code", None)
own = getattr(identity, "code_of_file", None)
found = {}
for path in sorted(root.rglob("*.py")):
    name = f"{path.parent.name}/{path.name}"
    name, counts = named(path) if named else (name, identity._code_hash_of_file(path))
    found[path.relative_to(root).as_posix()] = [name, counts, own(path) if own else counts]
print(json.dumps(found))
"""


def hashes(checkout: Path) -> dict[str, list[str]]:
    command = [sys.executable, "-c", HASHES, str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=checkout)
    return json.loads(done.stdout)


def tensors(checkout: Path, config: Path, folder: Path) -> dict[str, bytes]:
    """Compute a grid with the code of a checkout; every tensor file of its cells, by its path."""
    command = [sys.executable, "-m", "prunebench", "run", str(config)]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    folder.mkdir()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    cells = folder / "results"
    return {
        path.relative_to(cells).as_posix(): path.read_bytes()
        for path in sorted(cells.rglob("*.safetensors"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("--config", type=Path, default=HERE / "config" / "smoke.yaml")
    parser.add_argument("--unshown", action="store_true")
    given = parser.parse_args()
    before = given.before.resolve()
    if not given.unshown:
        with tempfile.TemporaryDirectory() as name:
            old = tensors(before, given.config.resolve(), Path(name) / "before")
            new = tensors(HERE, given.config.resolve(), Path(name) / "after")
        differ = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        if differ:
            sys.exit(f"not the same bits: {', '.join(differ[:5])} ({len(differ)} of {len(old)})")
        print(f"{len(old)} tensor files are the same to the bit")
    entries = json.loads(DECLARED.read_text(encoding="utf-8"))
    earlier = {name: counts for name, counts, _ in hashes(before).values()}
    written = {}
    for path, (name, _, own) in hashes(HERE).items():
        entry = {key: value for key, value in entries.get(path, {}).items() if key == "name"}
        room = path.partition("/")[0]
        counted = path in entries or path in BASELINE + PRUNING or room in FOLLOWED
        if counted and earlier.get(name, own) != own:
            entry |= {"code": own, "counts_as": earlier[name]}
        if entry:
            written[path] = entry
    DECLARED.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{DECLARED}: {len(written)} files")


if __name__ == "__main__":
    main()
