"""What reads files and answers of others, each with inputs that are nearly right."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import struct
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from hypothesis import strategies as st
from PIL import Image

from prunebench.errors import PrunebenchError
from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).resolve().parents[3]
READERS: dict[str, Callable[[Path], Reader]] = {}


def _reader(make: Callable[[Path], Reader]) -> Callable[[Path], Reader]:
    READERS[make.__name__.strip("_")] = make
    return make


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


# ------------------------------------------------------------------------------ configurations


@_reader
def settings(folder: Path) -> Reader:
    """Configurations, as every command reads them."""
    from prunebench.cli.app import plan_of

    texts = [path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml"))]
    values = [yaml.safe_load(text) for text in texts]
    path = folder / "grid.yaml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        plan_of(path)

    encoded = st.sampled_from(("utf-16", "utf-8-sig", "latin-1"))
    return damaged_bytes(texts) | changed_value(values).map(_json) | st.tuples(
        st.sampled_from(texts), encoded
    ).map(lambda both: both[0].decode().encode(both[1], "replace")), read  # fmt: skip


# -------------------------------------------------------------------------------------- tables


@_reader
def tables(folder: Path) -> Reader:
    """Tables of others, imported, and as cells.csv of an experiment."""
    from prunebench.published.column_mapping import ColumnMapping
    from prunebench.published.import_table import import_results
    from prunebench.statistics.cells_table import read_cells
    from prunebench.statistics.published_results import read_published
    from prunebench.storage.layout import Layout
    from tests.published.conftest import PAPER, REPLICATED, mine

    layout, theirs = Layout(folder / "e"), folder / "theirs.csv"
    layout.root.mkdir()
    mine().to_csv(layout.cells_csv, index=False)
    seeds = [REPLICATED, layout.cells_csv.read_text(), PAPER]

    def imported() -> None:
        done = import_results(theirs, "Fuzz", layout, ColumnMapping(), replace=True)
        assert len(read_published(done.path, "e")) == len(done.cells)

    ways: dict[str, Callable[[], Any]] = {"import": imported, "cells": lambda: read_cells(theirs)}

    def read(given: tuple[str, bytes]) -> None:
        theirs.write_bytes(given[1])
        ways[given[0]]()

    rows = [list(csv.reader(io.StringIO(seed))) for seed in seeds]
    fields = changed_value(rows).map(_as_csv)
    return st.tuples(
        st.sampled_from(sorted(ways)), fields | damaged_bytes([seed.encode() for seed in seeds])
    ), read  # fmt: skip


def _as_csv(rows: Any) -> bytes:
    file = io.StringIO(newline="")
    for row in rows if isinstance(rows, list) else [rows]:
        csv.writer(file, escapechar="\\").writerow(row if isinstance(row, list) else [row])
    return file.getvalue().encode("utf-8", "surrogatepass")


# ------------------------------------------------------------------------------------- weights


@_reader
def safetensors(folder: Path) -> Reader:
    """Weights: safetensors, PyTorch's own, compressed and shrunk networks."""
    import torch
    from safetensors.torch import save

    from prunebench.compression.encoding import MAGIC, load_compressed, save_compressed
    from prunebench.compression.shrink import shrink
    from prunebench.compression.shrunk_files import load_shrunk, save_shrunk
    from prunebench.evaluation.arrays import load_arrays
    from prunebench.storage.cell_files import load_tensors
    from prunebench.training.loaded_weights import fill

    torch.manual_seed(0)
    network, path = _network(), folder / "weights"
    state = network.state_dict()
    masks = {"0.weight": torch.ones_like(state["0.weight"]), "2.weight": torch.ones(3, 4, 3, 3)}
    masks["0.weight"][:2] = 0
    smaller = shrink(network, masks, torch.zeros(1, 1, 6, 6)).model
    save_shrunk(network, smaller, path)
    shrunk = path.read_bytes()
    save_compressed(network, path, masks)
    compressed = path.read_bytes()
    torch.save(state, path)
    pickled, plain = path.read_bytes(), save(state)
    ways: dict[str, tuple[list[bytes], Callable[[], Any]]] = {
        "tensors": ([plain], lambda: load_tensors(path)),
        "arrays": ([plain], lambda: load_arrays(path)),
        "fill": ([plain, pickled], lambda: fill(_network(), path, "models: m")),
        "shrunk": ([shrunk], lambda: load_shrunk(_network(), path)),
        "compressed": ([compressed], lambda: load_compressed(path)),
    }

    def read(given: tuple[str, bytes]) -> None:
        path.write_bytes(given[1])
        ways[given[0]][1]()

    def inputs(way: str) -> st.SearchStrategy[tuple[str, bytes]]:
        seeds = ways[way][0]
        found = damaged_bytes(seeds)
        if way == "compressed":
            start = len(MAGIC) + 32 + 16
            found |= changed_value([_compressed_parts(compressed, start)]).map(_compressed)
        else:
            found |= changed_value([_safetensors_header(seeds[0])]).map(
                partial(_safetensors, data=seeds[0][8 + _header_length(seeds[0]) :])
            )
        return found.map(lambda content: (way, content))

    return st.one_of([inputs(way) for way in ways]), read


def _network() -> nn.Module:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    )


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _safetensors_header(content: bytes) -> Any:
    header = json.loads(content[8 : 8 + _header_length(content)])
    metadata = header.get("__metadata__", {})  # texts; what we put there is JSON itself
    return header | {"__metadata__": {key: json.loads(text) for key, text in metadata.items()}}


def _safetensors(header: Any, data: bytes) -> bytes:
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        texts = {key: json.dumps(value) for key, value in header["__metadata__"].items()}
        header = header | {"__metadata__": texts}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def _compressed_parts(content: bytes, start: int) -> Any:
    from prunebench.compression.encoding import zstd

    length, packed = struct.unpack("<QQ", content[start - 16 : start])
    header = zstd().decompress(content[start : start + packed], length, asbytes=True)
    entries = json.loads(header)
    rest = content[start + packed :]
    return {"entries": entries, "rest": rest.hex()}


def _compressed(parts: Any) -> bytes:
    """A file whose hash is right, whatever its header says."""
    from prunebench.compression.encoding import MAGIC, zstd

    if not isinstance(parts, dict) or not isinstance(parts.get("rest"), str):
        return MAGIC
    try:
        rest = bytes.fromhex(parts["rest"])
        content = zstd().decompress(rest, 2**12, asbytes=True)
    except (ValueError, OSError):
        rest, content = b"", b""
    header = json.dumps(parts.get("entries")).encode()
    packed = zstd().compress(header, asbytes=True)
    sizes = struct.pack("<QQ", len(header), len(packed))
    return MAGIC + hashlib.sha256(header + content).digest() + sizes + packed + rest


# ---------------------------------------------------------------------------------------- data


def _images(count: int, size: int = 5) -> list[bytes]:
    draw, found = np.random.default_rng(0), []
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (size, size), dtype=np.uint8)).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def _prepared(folder: Path, **changes: Any) -> Callable[[], None]:
    """Return what prepares a task, as the command does."""
    from prunebench.experiment.settings import Task
    from prunebench.tasks.prepare import prepare

    task = Task(**{"name": "mine", "val": 2, "test": 2, **changes})
    return lambda: prepare(task, folder / "raw", folder / "prepared.safetensors")


@_reader
def parquet(folder: Path) -> Reader:
    """Parquet files of images, rows of a table and texts, prepared."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, encoded = folder / "theirs.parquet", _images(8)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = [0, 1] * 4
    columns: dict[str, Any] = {
        "image": pa.array([{"bytes": content, "path": None} for content in encoded], kind),
        "label": pa.array(labels), "text": pa.array([f"a text {n}" for n in range(8)]),
        "x": pa.array([n / 8 for n in range(8)]),
    }  # fmt: skip
    others = [
        pa.array(labels, pa.uint64()), pa.array([2**64 - 1] * 8, pa.uint64()),
        pa.array([str(n) for n in range(8)]), pa.array([None] * 8), pa.array([[n] for n in labels]),
        pa.array([{"bytes": "x"}] * 8), pa.array([{"path": "x"}] * 8), pa.array([True] * 8),
        pa.array([float("nan")] * 8), pa.array(labels).dictionary_encode(),
        pa.array([0] * 8, pa.timestamp("s")), pa.array(labels, pa.int8()),
        pa.array([b"\xff"] * 8), pa.array([1] * 8, pa.decimal128(5)),
        pa.array([{"bytes": b"x"}] * 8), *columns.values(),
    ]  # fmt: skip
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}

    def written(table: Any) -> bytes:
        file = io.BytesIO()
        pq.write_table(table, file)
        return file.getvalue()

    def made(given: tuple[list[tuple[str, int]], Any]) -> bytes:
        chosen = [(name, others[place]) for name, place in given[0]]
        table = pa.Table.from_arrays([a for _, a in chosen], [name for name, _ in chosen])
        text = given[1] if isinstance(given[1], str) else json.dumps(given[1])
        stored = text.encode("utf-8", "surrogatepass")
        return written(table.replace_schema_metadata({b"huggingface": stored}))

    ways = {
        "images": _prepared(folder, source="parquet", path=str(path)),
        "rows": _prepared(folder, source="table", path=str(path), target="label"),
        "texts": _prepared(folder, source="text", path=str(path)),
    }

    def read(given: tuple[str, bytes]) -> None:
        path.write_bytes(given[1])
        ways[given[0]]()

    names = st.sampled_from(["image", "img", "label", "text", "x", "", "label "])
    column = st.tuples(names, st.integers(0, len(others) - 1))
    good = written(pa.table(columns))
    content = damaged_bytes([good]) | st.tuples(
        st.lists(column, min_size=1, max_size=5), changed_value([features])
    ).map(made)  # fmt: skip
    return st.tuples(st.sampled_from(sorted(ways)), content), read


@_reader
def npz(folder: Path) -> Reader:
    """Archives of arrays, prepared."""
    path = folder / "theirs.npz"
    good = {"train_inputs": np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32),
            "train_targets": np.arange(12) % 2, "classes": np.array(["a", "b"])}  # fmt: skip
    others = (
        np.arange(12, dtype=np.uint64) + 2**63, np.zeros((12, 0)), np.zeros(0), np.array(3),
        np.full(12, np.nan), np.zeros((12, 3, 3), np.uint8), np.array(["x"] * 12),
        np.array(["2020-01-01"] * 12, "datetime64[D]"), np.zeros(12, complex), np.ones(12, bool),
        np.full((12, 4), np.inf, np.float32), np.zeros(12, [("a", "i4")]), np.arange(12) % 3,
        np.random.default_rng(1).integers(0, 256, (12, 5, 5), np.uint8), np.arange(12) - 6,
        np.arange(48).reshape(12, 4), np.zeros((12, 4), ">f8"), np.array([b"\xff"] * 12),
        np.zeros(12, np.float16), np.full((12, 1), "\ud800"), *good.values(),
    )  # fmt: skip
    names = ("train_inputs", "train_targets", "val_inputs", "val_targets", "test_inputs",
             "test_targets", "classes", "../x", "other")  # fmt: skip

    def made(chosen: dict[str, int]) -> bytes:
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **{k: others[place] for k, place in chosen.items()})
        return file.getvalue()

    def zipped(given: tuple[bytes, int, int, int]) -> bytes:
        """The header of an array is damaged, and the archive is whole; or bits of the archive."""
        header, method, bits, declared = given
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("train_inputs.npy", header)
            archive.writestr("train_targets.npy", header)
        content = bytearray(file.getvalue())
        for mark, at in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
            start = content.find(mark) + at
            content[start : start + 4] = struct.pack("<HH", bits, method)
        if declared:
            start = content.find(b"PK\1\2") + 24
            content[start : start + 4] = struct.pack("<I", declared)
        return bytes(content)

    array = io.BytesIO()
    np.save(array, good["train_inputs"])
    prepare = _prepared(folder, source="own", path=str(path))

    def read(content: bytes) -> None:
        path.write_bytes(content)
        prepare()

    place = st.integers(0, len(others) - 1)
    first = {name: len(others) - 3 + n for n, name in enumerate(good)}
    return damaged_bytes([made(first)]) | st.dictionaries(st.sampled_from(names), place).map(
        lambda some: made(first | some)
    ) | st.tuples(
        damaged_bytes([array.getvalue()]), st.sampled_from([0, 8, 12, 14, 93, 99]),
        st.sampled_from([0, 1, 8, 0xFFFF]), st.sampled_from([0, 1, 2**31, 2**32 - 1]),
    ).map(zipped), read  # fmt: skip


@_reader
def images(folder: Path) -> Reader:
    """Pictures of every format, in a folder of classes."""
    from prunebench.experiment.settings import Task
    from prunebench.tasks.sources.folder import read as read_folder

    draw, seeds = np.random.default_rng(0), []
    pixels = draw.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"):
        for mode in ("RGB", "L", "P"):
            buffer = io.BytesIO()
            if (kind, mode) not in {("JPEG", "P"), ("PPM", "P"), ("WEBP", "P")}:
                Image.fromarray(pixels).convert(mode).save(buffer, kind)
                seeds.append(buffer.getvalue())
    buffer = io.BytesIO()
    with_exif = Image.Exif()
    with_exif[0x0112] = 6
    Image.fromarray(pixels).save(buffer, "JPEG", exif=with_exif)
    seeds.append(buffer.getvalue())
    place = folder / "set" / "a"
    place.mkdir(parents=True)
    for name in ("0", "1"):
        (place / f"{name}.png").write_bytes(seeds[0])
    task = Task(name="mine", source="folder", path=str(folder / "set"))
    tasks = [task, task.model_copy(update={"image_size": 8, "mode": "rgb"})]

    def read(given: tuple[bytes, int]) -> None:
        (place / "0.png").write_bytes(given[0])
        read_folder(tasks[given[1]], folder)

    return st.tuples(damaged_bytes(seeds), st.integers(0, 1)), read


# ------------------------------------------------------------------------- results of others


GRID: dict[str, Any] = {
    "experiment": "tiny", "tasks": [{"name": "digits", "train": 120, "val": 60, "test": 100}],
    "models": ["seed-cnn"], "regimes": ["clean"], "seeds": [0], "methods": ["random"],
    "sparsities": [0.5], "training": {"epochs": 30, "batch_size": 30, "learning_rate": 0.1},
    "probes": {"run": ["distance"], "samples": 20},
}  # fmt: skip


def _finished(folder: Path) -> Any:
    """Return the plan of a grid that was run, with all that is made of records."""
    import torch

    from prunebench.experiment import config
    from prunebench.experiment.plan import Plan
    from prunebench.runner import pipeline

    torch.set_num_threads(1)
    plan = Plan(config.parse(GRID), folder / "results")
    pipeline.run(plan, folder / "data")
    return plan


@_reader
def submissions(folder: Path) -> Reader:
    """Submissions, with all checks that compute nothing again."""
    from prunebench.reproduce.submission.check import TABLES
    from prunebench.reproduce.submission.check_masks import masks
    from prunebench.reproduce.submission.pack import pack
    from prunebench.reproduce.submission.submission_folder import Form, load

    plan, place = _finished(folder), folder / "submission"
    pack(plan.layout.root, place, Form(name="mine", method="random"))
    whole = {path: path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}
    whole |= {place / "more.json": b"{}\n"}

    def inputs(path: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
        content = whole[path]
        found = damaged_bytes([content])
        if path.suffix == ".json":
            found |= changed_value([json.loads(content)]).map(_json)
        elif path.suffix == ".yaml":
            found |= changed_value([yaml.safe_load(content)]).map(_json)
        elif path.suffix == ".csv":
            rows = list(csv.reader(io.StringIO(content.decode())))
            found |= changed_value([rows]).map(_as_csv)
        elif path.suffix == ".safetensors":
            data = content[8 + _header_length(content) :]
            found |= changed_value([_safetensors_header(content)]).map(
                partial(_safetensors, data=data)
            )
        return found.map(lambda changed: (path, changed))

    def read(given: tuple[Path, bytes]) -> None:
        path, content = given
        path.write_bytes(content)
        try:
            submission = load(place)
            found = [each for _, _, look in TABLES for each in look(submission)]
            found += masks(submission, folder / "data", False)
            assert all(str(each).isprintable() for each in found)
        finally:
            path.write_bytes(whole[path])

    return st.one_of([inputs(path) for path in whole]), read


@_reader
def sealed(folder: Path) -> Reader:
    """Files of a finished experiment with a right seal and another content, by any command."""
    from typer.testing import CliRunner

    from prunebench import cli
    from prunebench.storage.files import SEAL, read_json, write_sealed

    root = _finished(folder).layout.root
    done = CliRunner().invoke(cli.app, ["tables", str(root)])
    assert done.exit_code == 0, (done.output, done.exception)
    whole = folder / "whole"
    shutil.copytree(root, whole, copy_function=shutil.copy2)
    names = [path.relative_to(root) for path in sorted(root.rglob("*.json"))]
    stored = {name: read_json(root / name) for name in names}
    commands = {
        "status": ["status"], "status-json": ["status", "--json"], "check": ["check-files"],
        "summary": ["summary"], "verify": ["verify", "--tables"], "crate": ["ro-crate"],
        "tables": ["tables"], "sample": ["verify", "--sample", "0"],
    }  # fmt: skip

    def inputs(name: Path) -> st.SearchStrategy[tuple[Path, Any]]:
        return changed_value([stored[name]]).map(lambda value: (name, value))

    def read(given: tuple[str, tuple[Path, Any]]) -> None:
        command, (name, value) = given
        path = root / name
        if isinstance(value, dict) and SEAL in stored[name]:
            try:
                write_sealed(path, {k: v for k, v in value.items() if k != SEAL})
            except (ValueError, UnicodeEncodeError):
                path.write_bytes(_json(value))
        else:
            path.write_bytes(_json(value))
        try:
            done = CliRunner().invoke(cli.app, [*commands[command], str(root)])
        finally:
            for each in [name, *(n for n in names if not (root / n).exists())]:
                (root / each).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(whole / each, root / each)
        if isinstance(done.exception, PrunebenchError):
            raise done.exception
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code in (0, 1, 2)
        if done.exit_code:
            raise PrunebenchError("the command says no")

    one = st.one_of([inputs(name) for name in names])
    return st.tuples(st.sampled_from(sorted(commands)), one), read


# --------------------------------------------------------------------------- MLflow's answers


@_reader
def mlflow(folder: Path) -> Reader:
    """Answers of a server that says it is MLflow."""
    import logging
    import os

    import mlflow.tracking  # noqa: F401  # asks uname for the processor, once

    from prunebench.tracking import export, sync
    from tests.tracking import helpers as made_up

    sync.GRACE = 0.1  # a server that names a next page for ever is left after that
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    logging.disable()
    layout, _ = made_up.experiment(folder / "smoke", methods=())
    run = {
        "info": {
            "run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "FINISHED",
            "lifecycle_stage": "active", "start_time": 1, "end_time": 2, "run_name": "x",
            "artifact_uri": "mlflow-artifacts:/1/r/artifacts",
        },
        "data": {
            "tags": [{"key": "experiment", "value": "smoke"},
                     {"key": "prunebench.cell", "value": "experiment"}],
            "metrics": [{"key": "m", "value": 0.5, "timestamp": 1, "step": 0}], "params": [],
        },
    }  # fmt: skip
    answers: dict[str, Any] = {
        "get-by-name": {"experiment": {
            "experiment_id": "1", "name": "prunebench/smoke", "lifecycle_stage": "active",
            "artifact_location": "mlflow-artifacts:/1", "tags": [],
        }},
        "runs/search": {"runs": [run], "next_page_token": ""},
        "runs/create": {"run": run}, "runs/get": {"run": run},
        "runs/update": {"run_info": run["info"]},
        "artifacts": {"files": [{"path": "figures", "is_dir": True},
                                {"path": "x.csv", "is_dir": False, "file_size": 3}]},
        "": {},
    }  # fmt: skip
    now: list[Any] = [answers, b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said, raw = now
            answer = raw
            if isinstance(said, dict):
                key = next(name for name in answers if name in self.path)
                answer = json.dumps(said.get(key, {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # who asked is gone
                super().handle()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"

    def read(given: tuple[Any, bytes]) -> None:
        now[:] = given
        export(layout, address)

    raw = damaged_bytes([_json(answers["runs/search"]), b"<html>no</html>"])
    return st.tuples(changed_value([answers]), st.just(b"")) | st.tuples(st.none(), raw), read
