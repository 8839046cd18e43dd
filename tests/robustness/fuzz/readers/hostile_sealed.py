"""Files of a finished experiment with a right seal and another content, by any command."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value
from tests.robustness.fuzz.readers.tiny_experiment import finished
from tests.robustness.fuzz.readers.written_back import json_bytes

COMMANDS = {
    "status": ["status"], "status-json": ["status", "--json"], "check": ["check-files"],
    "summary": ["summary"], "verify": ["verify", "--tables"], "crate": ["ro-crate"],
    "tables": ["tables"], "sample": ["verify", "--sample", "0"],
}  # fmt: skip


def sealed(folder: Path) -> Reader:
    """Files of a finished experiment with a right seal and another content, by any command."""
    from typer import testing
    from typer.testing import CliRunner

    from prunebench import cli
    from prunebench.report.leaderboard import ranking
    from prunebench.report.tables import all_tables
    from prunebench.storage.files import SEAL, read_json, write_sealed

    # most of the time would go into these, over and over for the same table
    testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]
    all_tables.write = _written_once(all_tables.write)
    ranking.boards = _ranked_once(ranking.boards)
    root = finished(folder).layout.root
    (root / "workflow").mkdir()
    (root / "workflow" / "Snakefile").write_text("rule all:\n")  # as where Snakemake ran it
    run = CliRunner().invoke
    done = run(cli.app, ["tables", str(root)])
    assert done.exit_code == 0, (done.output, done.exception)
    whole = folder / "whole"
    shutil.copytree(root, whole, copy_function=shutil.copy2)
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    stored = {name: read_json(root / name) for name in files if name.suffix == ".json"}
    # a command is given the files that it reads
    pairs = [
        (command, name)
        for command, arguments in sorted(COMMANDS.items())
        for name in sorted(_read_by(lambda: run(cli.app, [*arguments, str(root)]), root))  # noqa: B023
        if name in stored
    ]
    assert {command for command, _ in pairs} == COMMANDS.keys()

    def inputs(pair: tuple[str, Path]) -> st.SearchStrategy[tuple[str, Path, Any]]:
        return changed_value([stored[pair[1]]]).map(lambda value: (*pair, value))

    def read(given: tuple[str, Path, Any]) -> None:
        command, name, value = given
        path = root / name
        if isinstance(value, dict) and SEAL in stored[name]:
            try:
                write_sealed(path, {k: v for k, v in value.items() if k != SEAL})
            except (ValueError, UnicodeEncodeError):
                path.write_bytes(json_bytes(value))
        else:
            path.write_bytes(json_bytes(value))
        try:
            done = run(cli.app, [*COMMANDS[command], str(root)])
        finally:
            for each in [name, *(n for n in files if not (root / n).exists())]:
                (root / each).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(whole / each, root / each)
        if isinstance(done.exception, PrunebenchError):
            raise done.exception
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code in (0, 1, 2)
        if done.exit_code:
            raise PrunebenchError("the command says no")

    return st.sampled_from(pairs).flatmap(inputs), read


def _read_by(call: Callable[[], Any], root: Path) -> set[Path]:
    """Return which files below a folder a call opens."""
    found: set[Path] = set()
    on = True

    def see(event: str, given: tuple[Any, ...]) -> None:
        if on and event == "open" and isinstance(given[0], str | Path):
            path = Path(os.path.abspath(given[0]))  # noqa: PTH100  # follows no link
            if path.is_relative_to(root):
                found.add(path.relative_to(root))

    sys.addaudithook(see)
    call()
    on = False
    return found


def _ranked_once(rank: Callable[..., Any]) -> Callable[..., Any]:
    """Return what ranks methods, but copies what the same arguments gave before."""
    known: dict[str, Any] = {}

    def ranked(cells: Any, *others: Any) -> Any:
        key = repr((cells.to_csv(), *others))
        if key not in known:
            known[key] = rank(cells, *others)
        return deepcopy(known[key])

    return ranked


def _written_once(write: Callable[[Any, Any], list[Path]]) -> Callable[[Any, Any], list[Path]]:
    """Return what writes tables, but copies those that the same files gave before."""
    known: dict[str, dict[Path, bytes]] = {}

    def written(cells: Any, layout: Any) -> list[Path]:
        origin = [layout.cells_csv, layout.config, layout.latency_csv]
        origin += sorted(layout.published.rglob("*"))
        content = [path.read_bytes() for path in origin if path.is_file()]
        key = hashlib.sha256(repr(content).encode()).hexdigest()
        if key not in known:
            made = write(cells, layout)
            known[key] = {path.relative_to(layout.root): path.read_bytes() for path in made}
            return made
        for name, text in known[key].items():
            (layout.root / name).parent.mkdir(parents=True, exist_ok=True)
            (layout.root / name).write_bytes(text)
        return [layout.root / name for name in known[key]]

    return written
