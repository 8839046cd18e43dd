"""The methods paragraphs of a paper, from the resolved configuration and the records.

Texts cite as ``cite`` does. The paragraph on the protocol uses the report's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from prunebench.experiment.settings import Experiment, Method, Model, Regime, Task, Training
from prunebench.report import error_names, reader_warnings
from prunebench.report.document import protocol_section, provenance_section
from prunebench.report.paper import cited_papers
from prunebench.report.paper.citations import cite, keys
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage.records import DENSE
from prunebench.text.numbers import listed, number, percent, plural, times, value_text

STATISTICS = {  # sources, by what a sentence of the protocol begins with
    "Interval": "Davison 1997; Hesterberg 2015",
    "Significance": "Fisher 1935; Holm 1979",
}
SOFTWARE = {
    "torch_version": ("PyTorch", "Paszke 2019"),
    "torchvision_version": ("torchvision", ""),
    "timm_version": ("timm", "Wightman 2019"),
}


@dataclass(frozen=True)
class Paragraph:
    """A heading and its text."""

    heading: str
    text: str


def paragraphs(inputs: ReportInputs, experiment: Experiment) -> list[Paragraph]:
    """Return the paragraphs that every paper needs, in order.

    Args:
        inputs: the experiment.
        experiment: its resolved configuration.
    """
    return [
        Paragraph("Data", _data(inputs, experiment)),
        Paragraph("Training", _training(inputs, experiment)),
        Paragraph("Pruning", _pruning(inputs, experiment)),
        Paragraph("Protocol", " ".join(protocol_section.rules())),
        Paragraph("Statistics", _statistics(inputs)),
        Paragraph("Software", _software(inputs)),
    ]


def _data(inputs: ReportInputs, experiment: Experiment) -> str:
    tasks = listed(_task(task, inputs.cells) for task in experiment.tasks)
    regimes = "; ".join(_regime(regime) for regime in experiment.regimes)
    several = len(experiment.regimes) > 1
    return f"We use {tasks}. Regime{'s' if several else ''} of training: {regimes}."


def _task(task: Task, cells: pd.DataFrame) -> str:
    here = cells[cells["task"] == task.name]
    classes = here["classes"].dropna()
    trained = pd.to_numeric(here["train_samples"], errors="coerce").dropna()
    sizes = {
        "training": f"{int(trained.max()):,}" if len(trained) else None,
        "validation": percent(task.val) if isinstance(task.val, float) else f"{task.val:,}",
        "test": "all" if task.test is None else f"{task.test:,}",
    }
    if isinstance(task.val, float):
        sizes["validation"] = f"{sizes['validation']} of the training split as"
    said = listed(f"{size} {split}" for split, size in sizes.items() if size)
    first = f"{int(classes.max())} classes; " if len(classes) else ""
    pixels = f"; {task.image_size}×{task.image_size} pixels" if task.image_size else ""
    return f"{task.name}{cite(cited_papers.of_task(task))} ({first}{said} samples{pixels})"


def _regime(regime: Regime) -> str:
    said = []
    if regime.label_noise:
        paper = cite(keys(cited_papers.NOISE[regime.noise]))
        said.append(
            f"{percent(regime.label_noise)} of the training labels wrong, {regime.noise}{paper}"
        )
    if regime.train_samples is not None:
        said.append(f"{regime.train_samples:,} training samples")
    if regime.train_fraction != 1:
        said.append(f"{percent(regime.train_fraction)} of the training samples")
    if regime.augmentation:
        said.append("random crops and flips")
    if regime.width != 1:
        said.append(f"{regime.width:g} times as many channels")
    return f"{regime.name} ({', '.join(said)})" if said else regime.name


def _training(inputs: ReportInputs, experiment: Experiment) -> str:
    pairs = [(model, regime) for model in experiment.models for regime in experiment.regimes]
    trained = {
        " in ".join(
            [model.name] * (len(experiment.models) > 1)
            + [regime.name] * (len(experiment.regimes) > 1)
        ): experiment.training_of(model, regime)
        for model, regime in pairs
    }
    first, *others = trained
    common = trained[first]
    said = [f"The networks are {listed(_model(each, inputs) for each in experiment.models)}."]
    said.append(f"A network is trained for {_recipe(common)}.")
    changes: dict[str, list[str]] = {}
    for pair in others:
        if change := _change(common, trained[pair]):
            changes.setdefault(change, []).append(pair)
    said += [f"Otherwise for {listed(names)}: {change}." for change, names in changes.items()]
    seeds = len(experiment.seeds)
    said.append(
        f"Everything is repeated with {plural(seeds, 'seed')}; all methods of a seed"
        " prune the same dense network."
    )
    return " ".join(said)


def _model(model: Model, inputs: ReportInputs) -> str:
    cells = inputs.cells
    dense = cells[(cells["method"] == DENSE) & (cells["model"] == model.name)]
    known = dense["params_total"].dropna()
    weights = f" ({known.max():,.0f} weights)" if len(known) else ""
    pretrained = ", pretrained" if model.pretrained else ""
    return f"{model.name}{cite(cited_papers.of_model(model))}{weights}{pretrained}"


def _recipe(training: Training) -> str:
    """Return how a network is trained, in words."""
    decay = f"weight decay {training.weight_decay:g}, not on norms and biases"
    optimizer = {
        "sgd": f"SGD with {'Nesterov ' if training.nesterov else ''}momentum {training.momentum:g}",
        "adamw": "AdamW",
    }[training.optimizer] + cite(keys(cited_papers.OPTIMIZERS.get(training.optimizer, "")))
    schedule = {
        "cosine": "falling along half a cosine",
        "step": f"times {training.gamma:g} after"
        f" {listed(percent(each) for each in training.milestones)} of the epochs",
        "constant": "constant",
    }[training.schedule] + cite(keys(cited_papers.SCHEDULES.get(training.schedule, "")))
    warm = f" after {training.warmup_epochs:g} epochs of warm-up" if training.warmup_epochs else ""
    clip = (
        f", gradients clipped at norm {training.gradient_clip:g}" if training.gradient_clip else ""
    )
    tuned = training.recovery_epochs or training.epochs
    return (
        f"{training.epochs} epochs (fine-tuning: {tuned}) in batches of {training.batch_size} by"
        f" {optimizer}, learning rate {training.learning_rate:g}, {schedule}{warm}; {decay}{clip}"
    )


def _change(common: Training, own: Training) -> str:
    """Return the settings that differ, as names of the configuration with their values."""
    usual = common.model_dump()
    return listed(
        f"{name.replace('_', ' ')} {value_text(value)}"
        for name, value in own.model_dump().items()
        if value != usual[name]
    )


def _pruning(inputs: ReportInputs, experiment: Experiment) -> str:
    groups = {
        "Candidates": [each for each in experiment.methods if not each.control],
        "Controls": [each for each in experiment.methods if each.control],
    }
    made = inputs.composition
    said = [
        "A method is composed of a criterion, a pattern, an allocation over layers, a schedule and"
        " a recovery, given in this order; what is cited behind a part is the source of that part."
    ]
    for name, methods in groups.items():
        if methods:
            said.append(f"{name}: {'; '.join(_method(each, made) for each in methods)}.")
    head = "" if experiment.prunable.head else ", the classifier's own left out"
    count = len(experiment.sparsities)
    ends = " to ".join(dict.fromkeys(map(times, inputs.compression or ())))
    achieved = f"; all weights over those kept came to {ends}" if ends else ""
    said.append(
        f"Prunable are the weights of convolutions, linear layers and embeddings{head}. Target"
        f" sparsit{'ies' if count > 1 else 'y'}:"
        f" {listed(percent(value) for value in experiment.sparsities)}{achieved}."
    )
    return " ".join(said)


def _method(method: Method, made: pd.DataFrame) -> str:
    """Return a method with its paper, and its parts, each with its own."""
    known = method.name in made.index
    parts = [
        (str(made.loc[method.name, kind]) if known else getattr(method, kind).name) + cite(papers)
        # of a dense control nothing is chosen: only what trains it again says something
        for kind, papers in cited_papers.of_parts(method).items()
    ]
    if method.first is not None:
        parts.append(
            f"after {method.first.criterion.name} of {method.first.pattern.name}s"
            f"{cite(cited_papers.of_first(method.first))}"
        )
    return f"{method.name}{cite(keys(method.paper))}: {', '.join(parts)}"


def measures(inputs: ReportInputs) -> Paragraph:
    """Return a paragraph on the measures beside the error, with their sources."""
    there = inputs.cells.columns[inputs.cells.notna().any()]
    known = cited_papers.MEASURES
    if error_names.kind_of(inputs.cells) == error_names.CLASSES:
        known = cited_papers.OF_CLASSES | known
    found = [
        f"{words}{cite(keys(paper))}" for column, (words, paper) in known.items() if column in there
    ]
    said = listed(found) if found else "nothing"
    return Paragraph("Measures", f"Recorded beside the error: {said}.")


def _statistics(inputs: ReportInputs) -> str:
    said = []
    for sentence in protocol_section.statistics(inputs):
        if sentence.startswith("Gain"):
            continue  # the hypotheses', which a methods paragraph does not judge
        paper = cite(keys(STATISTICS.get(sentence.partition(":")[0], "")))
        said.append(f"{sentence.removesuffix('.')}{paper}.")
    return " ".join([*said, reader_warnings.power(inputs).strip()])


def _software(inputs: ReportInputs) -> str:
    cells = inputs.cells
    used = [
        f"{name} {value}{cite(keys(paper))}"
        for column, (name, paper) in SOFTWARE.items()
        if (value := _only(cells, column))
    ]
    python = _only(cells, "python_version")
    used += [f"Python {python}"] if python else []
    # jobs of a workflow and of one process are the same, and records do not tell them apart
    said = f"The grid can be run by Snakemake{cite(['moelder2021'])} or in one process"
    said += f"; it was run with {listed(used)}" if used else ""
    commit = _only(cells, "commit")
    if commit:
        changed = " with changes that were not committed" if reader_warnings.dirty(cells) else ""
        said += f", by prunebench at commit {commit[: provenance_section.SHORT]}{changed}"
    device, threads = _only(cells, "device"), _only(cells, "threads")
    if device:
        each = f", {threads} thread{'s' if threads != '1' else ''} a job" if threads else ""
        said += f" (device {device}{each})"
    seconds = pd.to_numeric(cells["train_seconds"], errors="coerce").sum()
    return (
        f"{said}. Training took {number(seconds / 3600, 1)} hours, summed over cells, in each of"
        " which what it shares with others is counted."
    )


def _only(cells: pd.DataFrame, column: str) -> str:
    """Return the values of a column with commas between them; "" where there are none."""
    found = cells[column].dropna() if column in cells.columns else pd.Series(dtype=object)
    values = sorted({f"{v:g}" if isinstance(v, float) else str(v) for v in found})
    return ", ".join(values)
