"""Cells computed anew: the same bits here, and every way to differ is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from prunebench import cli
from prunebench.errors import PrunebenchError
from prunebench.reproduce.verify import recompute
from prunebench.reproduce.verify.recompute import rerun
from prunebench.reproduce.verify.stored_experiment import draw, load
from prunebench.reproduce.verify.verdict_text import as_json, as_text, environment
from prunebench.runner.own_process import Unfinished
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.files import read_json, sha256_file, write_json
from tests.messages import unsaid
from tests.reproduce.verify.conftest import Ran

IMP = Coordinates("digits", "noisy", "seed-cnn", 1, "imp", 0.9)
LONG = Coordinates("digits", "clean", "seed-cnn", 2, "dense-long", 0.0)


def files(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_the_same_bits(ran: Ran) -> None:
    before = files(ran.results)
    found = rerun(load(ran.results), [IMP, LONG], ran.data)
    assert files(ran.results) == before
    assert [c.cell for c in found.cells] == [LONG.baseline, LONG, IMP.baseline, IMP]
    assert {c.verdict for c in found.cells} == {"bit-identical"}
    assert found.confirmed
    assert environment(found) == []
    where, last = as_text(found).splitlines()[-2:]
    assert unsaid(where, "environment", "no") == []
    assert unsaid(last, "confirmed", "2 drawn", "4 cells", "4 bit-identical") == []


@pytest.mark.parametrize(
    ("method", "needing"),
    # dense-long trains as long as the longest method
    [("dense-long", [LONG]), ("imp", [IMP, LONG])],
)
def test_a_file_of_the_author_that_is_not_here(
    ran: Ran, tmp_path: Path, method: str, needing: list[Coordinates]
) -> None:
    """Cells of what ships are computed as ever; the others name the file that they need."""
    folder = ran.spoilt(tmp_path / "x")
    told = read_json(folder / "config.json")
    spoilt = next(each for each in told["methods"] if each["name"] == method)
    spoilt["criterion"] = {"name": "absent.py:score", "parameters": {}}
    write_json(folder / "config.json", told)
    found = {c.cell: c for c in rerun(load(folder), [IMP, LONG], ran.data, True).cells}
    for cell in (IMP, LONG):
        if cell in needing:
            assert found[cell].verdict == "not re-run"
            assert "absent.py" in found[cell].reason
        else:
            assert found[cell].verdict == "bit-identical"


def test_other_records(ran: Ran, tmp_path: Path) -> None:
    """Every error is far off, made with another torch: different, and it says what by."""
    folder = ran.spoilt(tmp_path / "x", test_error="0.99", torch_version="1.0.0")
    shutil.copy(ran.results / "provenance.json", folder)
    origin = read_json(folder / "provenance.json")
    origin |= {"system": "another", "packages": {**origin["packages"], "numpy": "1.0"}}
    write_json(folder / "provenance.json", origin)
    found = rerun(load(folder), [LONG], ran.data)
    assert [c.verdict for c in found.cells] == ["different", "different"]
    assert all(c.differs == ("test_error",) for c in found.cells)
    assert not found.confirmed
    told = {name: (there, here) for name, there, here in environment(found)}
    assert set(told) == {"torch_version", "system", "packages"}
    assert told["torch_version"][0] == "1.0.0"
    assert told["packages"][0] == "numpy 1.0"
    text = as_text(found)
    assert "provenance: provenance.json names another cells.csv, changed since" in text
    assert "NOT confirmed" in text
    assert "test_error" in text
    assert "interval [0.9900, 0.9900]" in text
    said = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert said["cells"][1]["verdict"] == "different"
    assert said["cells"][1]["test_error"]["record"] == 0.99


@pytest.mark.parametrize("tables", [True, False])
def test_a_provenance_of_other_files_confirms_nothing(
    ran: Ran, tmp_path: Path, tables: bool
) -> None:
    """The same numbers, written otherwise: each follows, but not from what it says it does."""
    folder = tmp_path / "x"
    shutil.copytree(ran.results, folder)
    arguments = [folder, "--tables"] if tables else [folder, "--sample", 1, "--data", ran.data]
    assert invoke(*arguments).exit_code == 0
    table = folder / "cells.csv"
    table.write_text(table.read_text().replace("0.0,", "0.00,"))
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert "provenance: provenance.json names another cells.csv" in done.stdout
    assert "NOT confirmed" in done.stdout


def test_nothing_that_was_run_again_confirms_nothing(ran: Ran) -> None:
    done = invoke(ran.results, "--sample", 0, "--data", ran.data)
    assert done.exit_code != 0


def invoke(*arguments: Any) -> Any:
    return CliRunner().invoke(cli.app, ["verify", *map(str, arguments)], terminal_width=200)


def test_the_command(ran: Ran) -> None:
    done = invoke(ran.results, "--sample", 1, "--seed", 4, "--data", ran.data, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["seed"] == 4
    assert said["confirmed"]
    [drawn] = draw(load(ran.results).rows, 1, 4)
    assert said["cells"][-1]["method"] == drawn.method
    assert said["doubt"] is None
    assert "re-running 1 of 1" in done.stderr


def test_the_command_says_no(ran: Ran, tmp_path: Path) -> None:
    """One seed is left, and its bits are others: not decidable is not confirmed."""
    folder = ran.spoilt(tmp_path / "x", mask_hash="0" * 64, train_nll="1.0")
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "seeds": [0]})
    lines = (folder / "cells.csv").read_text().splitlines()
    seed = lines[0].split(",").index("seed")
    kept = [lines[0], *(line for line in lines[1:] if line.split(",")[seed] == "0")]
    (folder / "cells.csv").write_text("\n".join(kept) + "\n")
    done = invoke(folder, "--sample", 1, "--seed", 4, "--data", ran.data)
    assert done.exit_code == 1, done.output
    assert "--seed 4" in done.stdout
    assert "2 not decidable" in done.stdout
    assert "fewer than 3 seeds" in done.stdout
    told = "provenance: there is no provenance.json: the command, machine, system and packages of"
    assert told in done.stdout


def test_code_of_others_is_named_and_not_run(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trusted, it runs in a process of its own; one that ends early confirms nothing."""
    folder = ran.spoilt(tmp_path / "x")
    sprung, file = tmp_path / "sprung", folder / "evil.py"
    file.write_text(f"open({str(sprung)!r}, 'w')\ndef score(view): ...\n")
    config = read_json(folder / "config.json")
    imp = next(method for method in config["methods"] if method["name"] == "imp")
    imp["criterion"] = {"name": f"{file}:score", "parameters": {}}
    write_json(folder / "config.json", config)
    found = rerun(load(folder), [IMP], ran.data)
    assert not found.confirmed
    line = as_text(found).splitlines()[0]
    code = f"{file} (sha256 {sha256_file(file)})"
    assert unsaid(line, f"{IMP}: not re-run", code, "--trust-code") == []
    assert "NOT confirmed: 1 drawn" in as_text(found)

    def ends(*_: Any) -> None:
        raise Unfinished("its process ended before it was done, with status 0")

    monkeypatch.setattr(recompute, "apart", ends)
    found = rerun(load(folder), [IMP], ran.data, trust_code=True)
    assert [(c.verdict, c.reason) for c in found.cells] == [
        ("not decidable", "its process ended before it was done, with status 0")
    ]
    monkeypatch.setattr(recompute, "apart", lambda *_: [])  # an answer without rows
    assert not rerun(load(folder), [IMP], ran.data, trust_code=True).confirmed
    assert not sprung.exists()


def test_bad_input_is_a_document_too(tmp_path: Path) -> None:
    done = invoke(tmp_path / "none", "--json")
    assert "is no folder" in json.loads(done.stdout)["error"]
    assert isinstance(done.exception, PrunebenchError)


def test_data_that_are_not_here(ran: Ran, tmp_path: Path) -> None:
    folder = ran.spoilt(tmp_path / "x", task="fashion-mnist")
    config = read_json(folder / "config.json")
    task = {**config["tasks"][0], "name": "fashion-mnist", "source": "torchvision"}
    task |= {"dataset": "FashionMNIST", "image_size": None}
    write_json(folder / "config.json", {**config, "tasks": [task]})
    stored = load(folder)
    with pytest.raises(PrunebenchError) as caught:
        rerun(stored, [LONG._replace(task="fashion-mnist")], tmp_path / "data")
    told = f"python -m prunebench download {folder}/config.json fashion-mnist"
    assert told in str(caught.value)
