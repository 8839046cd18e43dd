"""Describe an experiment's folder as a Workflow Run RO-Crate, in ``ro-crate-metadata.json``.

Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5) on RO-Crate 1.1: the workflow that
ran, its configuration and its results, with sizes and hashes. All of it is read from the folder,
so the same folder gives the same bytes, wherever and whenever it is described.

These are left out:

- the cells, thousands of folders of weights and predictions: ``cells.csv`` has a row for each, with
  the hashes of its data, labels and mask;
- logs, the kit for a paper, results of others;
- the steps: Snakemake keeps times and files of jobs in its private folder only, so this is no
  Provenance Run Crate;
- an agent: nobody is asked for a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

from rocrate.model import ComputationalWorkflow, ContextEntity, File
from rocrate.rocrate import ROCrate

from prunebench.errors import PrunebenchError
from prunebench.storage.files import sha256_file, write_json
from prunebench.storage.layout import ORIGIN, STEPS, Layout
from prunebench.storage.provenance import doubt, read

RO_CRATE = "1.1"  # the version that the profiles below build on
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # for sha256
CODE_LICENCE = "https://spdx.org/licenses/Apache-2.0"
# what decides bits, of all in provenance.json
SOFTWARE = {
    "python": "https://www.python.org/",
    "torch": "https://pytorch.org/",
    "torchvision": "https://docs.pytorch.org/vision/",
    "timm": "https://timm.fast.ai/",
    "numpy": "https://numpy.org/",
}
# by the first part of a file's path, less its ending
_WHAT = {
    pattern.partition("/")[0].partition(".")[0]: what
    for files in (ORIGIN, *(step.files for step in STEPS.values()))
    for pattern, what in files.items()
}
# of provenance.json
_NEEDED = {
    "experiment": str, "command": str, "started": str, "ended": str, "python": str,
    "packages": dict, "cells": dict, "data_hashes": dict,
}  # fmt: skip
# of provenance.json, where it is known: what made the records beside the workflow and its inputs
_MADE = {
    "command": "the command line", "commit": "the commit of the checkout",
    "dirty": "whether the checkout differed from its commit",
    "diff_hash": "SHA-256 of what the checkout had beyond its commit",
    "lock_hash": "SHA-256 of the lock file", "commits": "commits of the records",
    "hub_commits": "commits of the Hugging Face Hub that networks came from",
    "dirty_cells": "records that were computed in a checkout that differed from its commit",
    "devices": "what networks were trained on", "precisions": "in which they were trained",
    "threads": "threads of a job",
    "wall_seconds": "seconds that the command took to the last record",
}  # fmt: skip


def write(layout: Layout) -> Path:
    """Describe an experiment's folder.

    Returns:
        The path of ``ro-crate-metadata.json``.

    Raises:
        PrunebenchError: a file that must be described is missing, or ``provenance.json`` is not of
            the records beside it.
    """
    origin = _origin(layout)
    crate = ROCrate(version=RO_CRATE)
    crate.metadata.extra_contexts.append(TERMS)
    workflow = _workflow(crate, layout, origin)
    inputs = [_file(crate, layout, layout.config), *_data(crate, origin)]
    results = [_file(crate, layout, path) for path in layout.derived()]
    run = _context(
        crate, f"#run-{sha256_file(layout.provenance)}", "CreateAction",
        name=f"prunebench: {origin['experiment']}",
        description=f"{origin['command']}\nCells that an earlier command had finished were kept."
        " The end is that of the last record; tables, figures and pages were made right after.",
        startTime=origin["started"], endTime=origin["ended"],
        actionStatus="http://schema.org/CompletedActionStatus",
        instrument=workflow, object=inputs, result=results,
        additionalProperty=list(_properties(crate, origin)),
    )  # fmt: skip
    _root(crate, origin, run)
    write_json(layout.crate, crate.metadata.generate())
    return layout.crate


def _origin(layout: Layout) -> dict[str, Any]:
    """Return the content of provenance.json, if it is of the records beside it."""
    for path in (layout.config, layout.cells_csv):
        if not path.is_file():
            raise PrunebenchError(f"{path} is missing; run the grid first")
    origin = read(layout.provenance)
    told = doubt(origin, layout.config, layout.cells_csv)
    if origin is None or told:
        raise PrunebenchError(f"{layout.root}: {told}")
    for key, kind in _NEEDED.items():
        if not isinstance(origin.get(key), kind):
            raise PrunebenchError(f"{layout.provenance} is damaged: it has no {key}")
    if not _main(layout).is_file():
        raise PrunebenchError(
            f"{_main(layout)} is missing, the workflow that ran: Snakemake did not collect these"
            " records, or did before it was kept. This collects them again and computes no"
            f" finished cell: python -m prunebench workflow {layout.config}"
        )
    return origin


def _main(layout: Layout) -> Path:
    return layout.workflow / "Snakefile"


def _context(crate: ROCrate, identifier: str, kind: str, /, **properties: Any) -> ContextEntity:
    """Add and return an entity that is no file."""
    entity = crate.add(ContextEntity(crate, identifier, properties={"@type": kind}))
    for name, value in properties.items():
        # a list of one is written as that one
        entity[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    return entity


def _file(crate: ROCrate, layout: Layout, path: Path, *kinds: str) -> File:
    """Add and return a file of the folder; its types are File and ``kinds``."""
    about = _of_file(layout, path) | ({"@type": ["File", *kinds]} if kinds else {})
    return crate.add_file(path, path.relative_to(layout.root), properties=about)


def _of_file(layout: Layout, path: Path) -> dict[str, Any]:
    name = path.relative_to(layout.root)
    # an instance knows no types but Python's own: the same on every machine
    kind, _ = MimeTypes().guess_type(name.name)
    return {
        "name": name.as_posix(),
        "description": _WHAT[name.parts[0].partition(".")[0]],
        "encodingFormat": "text/markdown" if name.suffix == ".md" else kind or "text/plain",
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_file(path),
    }


def _workflow(crate: ROCrate, layout: Layout, origin: Mapping[str, Any]) -> ComputationalWorkflow:
    """Add and return the Snakefile, with the files that it includes and the software it needs."""
    licence = _context(
        crate, CODE_LICENCE, "CreativeWork", name="Apache License 2.0", identifier="Apache-2.0",
        description="Of the workflow. It says nothing of the results.",
    )  # fmt: skip
    main = _main(layout)
    workflow = crate.add_workflow(
        main, main.relative_to(layout.root), properties=_of_file(layout, main), main=True,
        lang="snakemake", lang_version=origin["packages"].get("snakemake"),
    )  # fmt: skip
    included = [
        _file(crate, layout, path, "SoftwareSourceCode")
        for path in sorted(layout.workflow.rglob("*.smk"))
    ]
    for source in (workflow, *included):
        source["license"] = licence
        source["programmingLanguage"] = workflow["programmingLanguage"]
        if origin.get("commit"):
            source["version"] = origin["commit"]
    workflow["hasPart"] = included
    workflow["softwareRequirements"] = list(_software(crate, origin))
    return workflow


def _software(crate: ROCrate, origin: Mapping[str, Any]) -> Iterator[ContextEntity]:
    versions = {**origin["packages"], "python": origin["python"].rpartition(" ")[2]}
    for name, url in SOFTWARE.items():
        if name in versions:
            about = {"name": name, "url": url, "softwareVersion": versions[name]}
            yield _context(crate, url, "SoftwareApplication", **about)


def _data(crate: ROCrate, origin: Mapping[str, Any]) -> Iterator[ContextEntity]:
    """Add and yield the data of each task: not in the crate, but known by their hashes."""
    for task, hashes in origin["data_hashes"].items():
        name, about = f"the data of {task}", "As they were prepared. Not in the crate."
        yield _context(
            crate, f"#data-{task}", "CreativeWork", name=name, description=about, sha256=hashes
        )


def _properties(crate: ROCrate, origin: Mapping[str, Any]) -> Iterator[ContextEntity]:
    for name, what in _MADE.items():
        value = origin.get(name)
        if isinstance(value, dict):
            value = [f"{key}: {count} records" for key, count in value.items()]
        if value is not None:
            about = {"name": name, "description": what, "value": value}
            yield _context(crate, f"#{name}", "PropertyValue", **about)


def _root(crate: ROCrate, origin: Mapping[str, Any], run: ContextEntity) -> None:
    root, counts = crate.root_dataset, origin["cells"]
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    root["name"] = f"prunebench: {origin['experiment']}"
    root["description"] = (
        f"Does pruning reduce overfitting? An experiment of {sum(counts.values())} cells ({said}):"
        " its records, tables, figures and report, and what made them."
    )
    root["datePublished"] = origin["ended"]
    root["license"] = _context(
        crate, "#licence-of-results", "CreativeWork", name="No licence was stated",
        description="The results are theirs who ran the experiment, and who have not said here"
        " under which licence others may use them.",
    )  # fmt: skip
    root["mentions"] = run
    root["conformsTo"] = [
        _context(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
