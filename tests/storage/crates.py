"""A crate read again by ro-crate-py, and held to what its profiles say it MUST have.

The requirements are those of the texts: RO-Crate 1.1 (root data entity, data entities, workflows),
Workflow RO-Crate 1.0, Process Run Crate 0.5 and Workflow Run Crate 0.5.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rocrate.rocrate import ROCrate
from rocrate.vocabs import RO_CRATE

RUN, WORKFLOW = "https://w3id.org/ro/wfrun", "https://w3id.org/workflowhub/workflow-ro-crate"


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def types(entity: Any) -> set[str]:
    return set(listed(entity["@type"]))


def links(value: Any) -> Iterator[str]:
    """Every identifier that a value refers to."""
    for item in listed(value):
        if isinstance(item, dict):
            yield item["@id"]


def files(crate: ROCrate, folder: Path) -> dict[str, Path]:
    """The files that a crate describes, each found, of the size and with the hash that it says."""
    found = {}
    for entity in crate.data_entities:
        assert "File" in types(entity), entity.id
        path = folder / unquote(entity.id)
        assert str(path.stat().st_size) == entity["contentSize"], entity.id
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entity["sha256"], entity.id
        assert entity["name"], entity.id
        assert entity["encodingFormat"], entity.id
        found[str(path.relative_to(folder))] = path
    return found


def conforms(folder: Path) -> ROCrate:
    """The crate in a folder. Fails the test where it lacks what a Workflow Run Crate MUST have."""
    content = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    graph = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(graph) == len(content["@graph"])  # no entity twice
    known = {*RO_CRATE["@context"], "sha256", "@id", "@type"}
    for entity in graph.values():
        assert set(entity) <= known, entity  # every term is defined
        assert types(entity) <= known, entity
        for value in entity.values():  # what is linked to is there, or is on the web
            assert {link for link in links(value) if not link.startswith("https://")} <= set(graph)
    assert content["@context"] == [
        "https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"
    ]  # fmt: skip

    crate = ROCrate(folder)
    # RO-Crate 1.1: metadata file descriptor and root data entity
    standards = [*links(graph["ro-crate-metadata.json"]["conformsTo"])]
    assert standards == ["https://w3id.org/ro/crate/1.1", f"{WORKFLOW}/1.0"]
    assert crate.metadata["about"] is crate.root_dataset
    root = crate.root_dataset
    assert (root.id, root.type) == ("./", "Dataset")
    assert datetime.fromisoformat(root["datePublished"]).tzinfo is not None
    assert root["name"]
    assert root["description"]
    assert root["license"]["name"]
    assert root["license"]["description"]
    # Process Run Crate and Workflow Run Crate: the profiles, as entities
    profiles = {entity.id: entity for entity in root["conformsTo"]}
    assert set(profiles) == {f"{RUN}/process/0.5", f"{RUN}/workflow/0.5", f"{WORKFLOW}/1.0"}
    for url, entity in profiles.items():
        assert entity.type == "CreativeWork"
        assert entity["version"] == url.rpartition("/")[2]
    # Workflow RO-Crate: the main workflow is in the crate, in a language
    workflow = crate.mainEntity
    assert types(workflow) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["name"]
    assert (folder / workflow.id).is_file()
    language = workflow["programmingLanguage"]
    assert language.type == "ComputerLanguage"
    assert language["name"] == "Snakemake"
    assert language["url"]
    # its execution
    [run] = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    assert run["instrument"] is workflow
    assert root["mentions"] is run
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    began, ended = (datetime.fromisoformat(run[key]) for key in ("startTime", "endTime"))
    assert began <= ended
    return crate
