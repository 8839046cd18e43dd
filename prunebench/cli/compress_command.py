"""``compress``: a network of one's own made smaller, exported and described."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from prunebench.cli.app import RUN, app, example, files, guide
from prunebench.cli.documents import AsJson, give
from prunebench.storage.layout import DATA
from prunebench.text import private


@app.command(
    rich_help_panel=RUN,
    epilog=guide(
        example("compress --network my_net.py:Net --weights my.pt --data my_data.py:splits"
                " --budget macs=0.5"),
        files("the network, its weights and data", "the output's folder: the network, its card,"
              " compress.html, and the experiment behind it in search/"),
        "The network is pruned by several methods to the budget and around it, fine-tuned, chosen"
        " on validation, made really smaller, and exported once a fresh process predicts the same."
        " The last line says size, MACs, measured time and error, before and after.",
        "If it is killed or interrupted, the same command goes on.",
    )
)  # fmt: skip
def compress(
    network: Annotated[
        str, typer.Option(help="a name of ours or timm's, file.py:Class, hf:owner/name")
    ],
    data: Annotated[
        str,
        typer.Option(
            help="a task's name, file.py:function, a .npz file, a folder of images, or a YAML file"
            " with a task's settings"
        ),
    ],
    budget: Annotated[
        str | None, typer.Option(help="what may be kept: weights=0.25, macs=0.5 or latency=0.5")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="instead: points of error that may be lost, e.g. 1.0")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="its weights: safetensors, or a state dict of torch.save")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="start from the network's pretrained weights")
    ] = False,
    no_training: Annotated[
        bool, typer.Option("--no-training", help="no fine-tuning: calibration alone")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="epochs of fine-tuning")] = 10,
    dense_epochs: Annotated[
        int, typer.Option(min=0, help="epochs to train a network first that has no weights")
    ] = 0,
    learning_rate: Annotated[float, typer.Option(help="of fine-tuning")] = 0.01,
    optimizer: Annotated[str, typer.Option(help="sgd or adamw")] = "sgd",
    batch_size: Annotated[int, typer.Option(min=2, help="samples in a training step")] = 128,
    methods: Annotated[
        str | None, typer.Option(help="methods to try: a,b; the first finds the sparsities")
    ] = None,
    exclude: Annotated[
        str, typer.Option(help="layers to leave alone, with wildcards: 'stem.*,head'")
    ] = "",
    threads: Annotated[int, typer.Option(min=1, help="of the processor; times, too")] = 1,
    kind: Annotated[
        str, typer.Option(help="kind of task, where the data do not say it")
    ] = "classification",
    output: Annotated[Path, typer.Option(help="folder to write")] = Path("compressed"),
    as_json: AsJson = False,
) -> None:
    """Make a network of your own smaller: to a budget, or as far as a tolerance allows."""
    from prunebench.runner.compress import Request, carry_out
    from prunebench.runner.compress.request import METHODS, task_of
    from prunebench.runner.compress.size_budget import Budget

    request = Request(
        network=network, task=task_of(data, kind), weights=weights, pretrained=pretrained,
        budget=None if budget is None else Budget.read(budget), tolerance=tolerance,
        training=not no_training, methods=_names(methods or ",".join(METHODS)), epochs=epochs,
        dense_epochs=dense_epochs, learning_rate=learning_rate, optimizer=optimizer,
        batch_size=batch_size, exclude=_names(exclude), threads=threads,
    )  # fmt: skip
    done = carry_out(request, output, DATA, f"prunebench {private.command(sys.argv[1:])}")
    if as_json:
        give({"folder": str(output), "summary": done.summary})
    else:
        print(f"{output}: {done.summary}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
