"""``export``: write a pruned network to a file that other programs can run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import PUBLISH, Data, app, example, files, guide, plan_of
from prunebench.cli.documents import AsJson, give
from prunebench.storage.layout import DATA
from prunebench.text.private import paths_in


@app.command(
    rich_help_panel=PUBLISH,
    epilog=guide(
        example(
            "export results/default/cells/digits/clean/seed-cnn/seed-0/magnitude/0.9 --to onnx"
        ),
        files("the cell and data/prepared/", "results/default/export/… or --output"),
    ),
)
def export(
    cell: Annotated[
        Path,
        typer.Argument(
            help="a cell: results/x/cells/<task>/<regime>/<model>/seed-<n>/<method>/<sparsity>"
        ),
    ],
    to: Annotated[str, typer.Option(help="onnx, torch-export or safetensors")] = "onnx",
    output: Annotated[
        Path | None, typer.Option(help="folder to write; default: results/x/export/…")
    ] = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Write a cell's network to a file, with a model card, and check that it predicts the same."""
    from prunebench.compression.export_formats import NETWORK
    from prunebench.experiment.prepared_data import prepared
    from prunebench.runner.export_cell import export_cell
    from prunebench.storage.coordinates import coordinates_of_folder
    from prunebench.storage.files import read_json

    root, place = coordinates_of_folder(cell)
    plan = plan_of(root / "config.json")
    done = export_cell(plan.cell_at(place), to, output, prepared(plan.task(place.task), data))
    for name in done.files:
        print(f"wrote {done.folder / name}", file=sys.stderr)
    built_from = done.folder / NETWORK
    if built_from.name in done.files and (paths := paths_in(read_json(built_from)["model"])):
        print(
            f"warning: {built_from} names places of this machine, for everybody to read:"
            f" {', '.join(paths)}; the network is built from them",
            file=sys.stderr,
        )
    same = done.agreement
    if as_json:
        said = {"folder": str(done.folder), "files": list(done.files), "network": done.kind}
        give({**said, "samples": same.samples, "share": same.share})
    else:
        print(
            f"{done.folder}: the {done.kind} network; in a fresh process its answers are the"
            f" stored ones on {same.share:.2%} of {same.samples} test inputs"
            f" (largest difference: {same.difference:.1e} of the largest)"
        )
