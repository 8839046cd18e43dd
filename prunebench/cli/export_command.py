"""``export``: a pruned network as a file to use elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import DATA, AsJson, Data, app, example, files, guide, plan_of


@app.command(
    epilog=guide(
        example(
            "export results/default/cells/digits/clean/seed-cnn/seed-0/magnitude/0.9 --to onnx"
        ),
        files("the cell and data/prepared/", "results/default/export/… or --output"),
    )
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
        Path | None, typer.Option(help="the folder to write; default: results/x/export/…")
    ] = None,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Write a cell's network as a file with its model card, once the file predicts the same."""
    from prunebench.experiment.prepared_data import prepared
    from prunebench.runner.export_cell import locate, take

    place = locate(cell)
    plan = plan_of(place.root / "config.json")
    taken = take(plan, place, to, output, prepared(plan.task(place.key[0]), data))
    for name in taken.files:
        print(f"wrote {taken.folder / name}", file=sys.stderr)
    same = taken.agreement
    if as_json:
        said = {"folder": str(taken.folder), "files": list(taken.files), "network": taken.kind}
        print(json.dumps({**said, "images": same.images, "share": same.share}))
    else:
        print(
            f"{taken.folder}: the {taken.kind} network; in a fresh process its classes are the"
            f" stored ones on {same.share:.2%} of {same.images} test images"
            f" (largest difference of the logits: {same.difference:.1e} of the largest)"
        )
