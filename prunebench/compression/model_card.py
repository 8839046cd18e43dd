"""Write the model card of an exported network, in the sections of Hugging Face's model cards.

After Mitchell 2019, "Model Cards for Model Reporting". Every figure comes from the record or is
measured on the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prunebench.compression.shrink import Removed
from prunebench.compression.timing import Speed
from prunebench.compression.verify_export import Agreement
from prunebench.report.error_names import CLASSES, named_of
from prunebench.text.markup import markdown_rows, markdown_text

TEMPLATES = Path(__file__).with_name("templates")
_PERCENT, _PLAIN = "{:.2%}", "{:.4f}"
# column -> what the card calls it, and how it is written
MEASURES = {
    "test_error": ("test error", _PERCENT),
    "val_error": ("validation error", _PERCENT),
    "train_error": ("training error, labels trained on", _PERCENT),
    "train_clean_error": ("training error, labels of the source", _PERCENT),
    "generalization_gap": ("generalization gap", _PERCENT),
    "worst_class_error": ("test error of the worst class", _PERCENT),
    "flips": ("test predictions unlike the dense network's", _PERCENT),
    "test_nll": ("negative log-likelihood, test", _PLAIN),
    "test_ece": ("calibration error (ECE), test", _PLAIN),
}
# of kinds of tasks; the squared error of probabilities is recorded of values, too
OF_KINDS = {
    "test_auc": ("area under the ROC curve, test", _PERCENT),
    "test_rmse": ("root mean squared error, test", _PLAIN),
    "test_perplexity": ("perplexity, test", _PLAIN),
    "test_word_error_rate": ("word error rate, test", _PERCENT),
    "test_map": ("mean average precision, test", _PERCENT),
}
OF_CLASSES = {"test_mse": ("Brier score, test", _PLAIN)}
_PROVENANCE = (
    "experiment", "identity", "config_hash", "data_hash", "weights_hash", "label_hash", "mask_hash",
    "code_hash", "commit", "dirty", "device", "threads", "python_version", "torch_version",
    "torchvision_version", "timm_version",
)  # fmt: skip


# a single input -> what model hubs call tasks on it
_SUBJECTS = {"row": "tabular", "sequence": "text", "pair": "tabular"}
_OF_KIND = {
    "detection": "object-detection", "language-model": "text-generation",
    "speech-recognition": "automatic-speech-recognition", "translation": "translation",
}  # fmt: skip
# those that a network of ours can have; a hub knows no other: huggingface.co/tasks
PURPOSES = frozenset({
    "image-classification", "text-classification", "tabular-classification", "tabular-regression",
    *_OF_KIND.values(),
})  # fmt: skip


@dataclass(frozen=True)
class CardRemarks:
    """What whoever asked for an export has to say on its card."""

    asked: str = ""  # what the network was made for, where no target sparsity was asked
    limits: Sequence[str] = ()  # what speaks against using it, beside its own figures
    speed: Sequence[Speed] = ()  # of the dense network and the file's, measured beside the record


@dataclass(frozen=True)
class CardFacts:
    """All that a card says."""

    title: str
    format: str
    file: str
    library: str
    loader: str  # the code that was run to verify the file
    record: Mapping[str, Any]
    task: str  # its name
    data: Mapping[str, str]  # of the task and the regime: what -> value
    composition: Mapping[str, str]  # part of the method -> name and parameters
    description: str  # of the method
    paper: str
    training: Mapping[str, str]
    classes: Sequence[str]
    shape: tuple[int, ...]  # of one input as it is stored
    item: str  # one input, in a word: image
    kind: str  # of the task
    dtype: str  # of the stored inputs
    mean: Sequence[float]
    std: Sequence[float]
    network: str  # what the file holds: dense, masked or shrunk
    reason: str  # why it is that one
    removed: Sequence[Removed]
    notes: Sequence[str]
    quality: Mapping[str, float | None]
    dense_quality: Mapping[str, float | None]
    sizes: Mapping[str, tuple[int | None, int]]  # what -> of the dense network, of this one
    agreement: Agreement
    architecture: str = ""  # what was built, whatever the experiment calls it
    weights: str = ""  # where the weights that training began with come from
    speed: Sequence[tuple[str, Speed]] = ()  # of the dense network and this one, as measured
    outcome: bool = False  # whether the sparsity is what came out, and no target
    remarks: CardRemarks = CardRemarks()


def card(facts: CardFacts) -> str:
    """Return the card as Markdown, for a README.md; text that is not the suite's own is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # markup is escaped for Markdown, which escaping for HTML would spoil
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["text"] = markdown_text
    text = environment.get_template("card.md.j2").render(
        facts=facts, front=_front(facts), summary=_summary(facts), details=_pairs(_details(facts)),
        removed=_removed(facts), limits=_limits(facts),
        shape="×".join(map(str, facts.shape)),
        mean=_numbers(facts.mean), std=_numbers(facts.std),
        classes=", ".join(f"{n}: {markdown_text(name)}" for n, name in enumerate(facts.classes)),
        agreed=f"{facts.agreement.share:.2%}", difference=f"{facts.agreement.difference:.1e}",
        tolerance=f"{facts.agreement.tolerance:g}",
        data=_pairs(facts.data), training=_pairs(facts.training), results=_results(facts),
        sizes=_sizes(facts), size_note=_size_note(facts), speed=_speed(facts),
        provenance=_pairs({name: facts.record.get(name) for name in _PROVENANCE}),
    )  # fmt: skip
    return named_of(text, facts.kind)


def _front(facts: CardFacts) -> str:
    """Return the YAML header that model hubs read."""
    purpose = purpose_of(facts.item, facts.kind)
    front: dict[str, Any] = {
        "library_name": facts.library,
        **({"pipeline_tag": purpose} if purpose else {}),
        "tags": ["pruning", "prunebench", *([purpose] if purpose else []), facts.format],
    }
    error = facts.quality.get("test_error")
    if error is not None:
        metric = {
            "type": "error", "name": named_of("test error", facts.kind), "value": round(error, 6),
        }  # fmt: skip
        if facts.kind == CLASSES:  # what hubs compare
            metric = {"type": "accuracy", "value": round(1 - error, 6)}
        front["model-index"] = [
            {
                "name": facts.title,
                "results": [
                    {
                        "task": {"type": purpose or facts.kind},
                        "dataset": {"name": facts.task, "type": facts.task, "split": "test"},
                        "metrics": [metric],
                    }
                ],
            }
        ]
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def purpose_of(item: str, kind: str) -> str:
    """Return what model hubs call a task; "" where they have no name for it.

    Args:
        item: a single input, in a word.
        kind: of the task.
    """
    named = _OF_KIND.get(kind, f"{_SUBJECTS.get(item, item)}-{kind}")
    return named if named in PURPOSES else ""


def _summary(facts: CardFacts) -> str:
    record = facts.record
    if not facts.composition:
        what = f"The dense {markdown_text(record['model'])}, nothing removed"
    else:
        what = (
            f"{markdown_text(record['model'])} pruned by {markdown_text(record['method'])}:"
            f" {record['sparsity_achieved']:.2%} of its prunable weights are removed"
            f"{_target(facts)}"
        )
    error, dense = (q.get("test_error") for q in (facts.quality, facts.dense_quality))
    if error is None or dense is None:
        return f"{what}."
    return f"{what}. Test error {error:.2%}, the dense network's {dense:.2%}."


def _target(facts: CardFacts) -> str:
    """Return what the share that is removed was to be, in brackets, or what was asked instead."""
    if facts.remarks.asked:
        return f" (asked was: {facts.remarks.asked})"
    return "" if facts.outcome else f" (the target was {facts.record['sparsity']:.2%})"


def _details(facts: CardFacts) -> dict[str, Any]:
    record = facts.record
    return {
        "architecture": facts.architecture or record["model"],
        "weights before training": facts.weights,
        "classifier": record.get("classifier"),
        "method": record["method"],
        "what it does": facts.description,
        **facts.composition,
        "asked": facts.remarks.asked,
        # what was asked is then no share of weights
        "sparsity, target": "" if facts.outcome or facts.remarks.asked else _sparsity(record),
        "sparsity, achieved": f"{record.get('sparsity_achieved', 0.0):.6g}",
        "seed": record["seed"],
        "status of the record": " – ".join(filter(None, (record["status"], record["message"]))),
        "network in the file": f"{facts.network}: {facts.reason}",
        "file": f"{facts.file} ({facts.format})",
    }


def _sparsity(record: Mapping[str, Any]) -> str:
    return f"{record['sparsity']:.4g}"


def _pairs(values: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in values.items() if value not in (None, "")}
    # not a table: the values are of any length
    return "\n".join(
        f"- **{markdown_text(key)}**: {markdown_text(str(value))}" for key, value in shown.items()
    )


def _removed(facts: CardFacts) -> str:
    rows = [[item.name, item.unit, str(item.before), str(item.after)] for item in facts.removed]
    return markdown_rows(["layer", "unit", "dense", "here"], rows, right_from=2).rstrip()


def _results(facts: CardFacts) -> str:
    rows = []
    own = OF_CLASSES if facts.kind == CLASSES else {}
    for column, (name, form) in (MEASURES | own | OF_KINDS).items():
        values = [quality.get(column) for quality in (facts.quality, facts.dense_quality)]
        if any(value is not None for value in values):
            rows.append([name, *("" if v is None else form.format(v) for v in values)])
    return markdown_rows(["measure", "this network", "dense"], rows).rstrip()


def _sizes(facts: CardFacts) -> str:
    rows = [
        [what, f"{here:,}", "" if dense is None else f"{dense:,}"]
        for what, (dense, here) in facts.sizes.items()
    ]
    return markdown_rows(["size", "this network", "dense"], rows).rstrip()


def _size_note(facts: CardFacts) -> str:
    if facts.network == "masked":
        return (
            "The file holds the removed weights as zeros: it is no smaller than the dense"
            " network's, and no faster with ordinary kernels."
        )
    if facts.network == "shrunk":
        gone = "Whole units are gone; single weights removed in those that stay are zeros."
        return f"{gone} {_beside(facts)}".strip()
    return f"Nothing was removed. {_beside(facts)}".strip()


def _beside(facts: CardFacts) -> str:
    """Return what a file holds beside its weights, where that is more than they are."""
    file, weights = (
        facts.sizes[name][1] if name in facts.sizes else 0
        for name in ("bytes of the file", "bytes of the weights")
    )
    if not file > 1.1 * weights:
        return ""
    return (
        f"Beside the weights the file holds {file - weights:,} bytes: the description of the"
        " network, layer by layer, which hardly depends on how wide its layers are."
    )


def _speed(facts: CardFacts) -> str:
    rows = [
        [
            name, speed.engine, speed.device, str(speed.threads), str(speed.batch),
            f"{speed.median_ms:.3f} ({speed.low_ms:.3f}–{speed.high_ms:.3f})",
            f"{speed.throughput:,.0f}",
        ]
        for name, speed in facts.speed
    ]  # fmt: skip
    header = ["network", "engine", "device", "threads", "batch", "ms", "inputs/s"]
    return markdown_rows(header, rows, right_from=3).rstrip()


def _limits(facts: CardFacts) -> list[str]:
    """Return what speaks against using the network, from its own figures."""
    found = [
        *facts.remarks.limits,
        "One network of one seed: its error says nothing of how far another seed's would differ.",
        "The errors hold for the test split named here, and for no other source of data.",
        "Where it was picked from many cells by its test error, that error is too low: pick by the"
        " validation error.",
    ]
    error, dense = (q.get("test_error") for q in (facts.quality, facts.dense_quality))
    if error is not None and dense is not None and error > dense:
        found.append(f"Its error is {100 * (error - dense):.2f} points above the dense one's.")
    found += _slower(facts)
    flips = facts.quality.get("flips")
    if flips:
        found.append(
            f"It answers otherwise than the dense network on {flips:.2%} of the test inputs, also"
            " where both have the same error."
        )
    if facts.record["message"] or facts.record["status"] != "ok":
        found.append(f"Its record says {facts.record['status']}: {facts.record['message']}")
    found.append(
        "No license is stated: those of the data, and of pretrained weights where there are any,"
        " apply."
    )
    return found


def _slower(facts: CardFacts) -> Iterator[str]:
    """Yield where the network is slower than the dense one: their quartiles do not overlap."""
    dense = {(s.engine, s.batch): s for name, s in facts.speed if name == "dense"}
    macs, here = facts.sizes.get("MACs an input, dense kernels", (None, 0))
    less = f", at {macs / here:.2f}× fewer MACs" if macs and here else ""
    for name, speed in facts.speed:
        other = dense.get((speed.engine, speed.batch))
        if name == facts.network and other is not None and speed.slower_than(other):
            yield (
                f"In {speed.engine}, batch {speed.batch}, it is slower than the dense network:"
                f" {speed.median_ms:.3g} against {other.median_ms:.3g} ms{less}."
            )


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values) + "]"
