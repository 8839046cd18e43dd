"""The model card: what was built, from which weights, how fast; and where it is slower."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from prunebench.compression.model_card import CardFacts, CardRemarks, card, purpose_of
from prunebench.compression.timing import Speed
from prunebench.compression.verify_export import Agreement

SLOW, FAST = 13.4, 8.3


def _speed(ms: float, engine: str = "onnxruntime", spread: float = 0.1) -> Speed:
    return Speed(ms, ms - spread, ms + spread, 1e3 / ms, 1, 30, 1, "a processor", engine)


FACTS = CardFacts(
    title="mine on digits", format="onnx", file="model.onnx", library="onnx", loader="pass\n",
    record={
        "model": "mine", "method": "l1-filter", "sparsity": 0.5, "sparsity_achieved": 0.5,
        "seed": 0, "status": "ok", "message": "",
    },
    task="digits", data={}, composition={"criterion": "l1-norm"}, description="", paper="",
    training={}, classes=["a", "b"], shape=(1, 8, 8), item="image", kind="classification",
    dtype="float32", mean=[], std=[], network="shrunk", reason="exact", removed=[], notes=[],
    quality={}, dense_quality={}, sizes={"MACs an input, dense kernels": (2050, 1000)},
    agreement=Agreement(2, 1.0, 0.0, 1e-4),
    architecture="resnet18 (class ResNet)", weights="pretrained, timm's resnet18",
)  # fmt: skip


def test_it_names_what_was_built_and_its_weights() -> None:
    text = card(FACTS)
    assert "- **architecture**: resnet18 (class ResNet)\n" in text
    assert "- **weights before training**: pretrained, timm's resnet18\n" in text
    assert "Time of a batch" not in text  # nothing was timed


def test_errors_and_measures_are_those_of_the_kind() -> None:
    values = {"test_error": 0.2, "test_mse": 0.5, "test_rmse": 0.7071}
    classes = card(replace(FACTS, quality=values, dense_quality=values))
    assert "Test error 20.00%, the dense network's 20.00%." in classes
    assert "| Brier score, test " in classes
    values["test_map"] = 0.25
    boxes = card(replace(FACTS, kind="detection", quality=values, dense_quality=values))
    assert "Test detection error 20.00%, the dense network's 20.00%." in boxes
    assert "| test detection error " in boxes
    assert re.search(r"\| mean average precision, test +\| +25\.00% ", boxes)
    assert "name: test detection error" in boxes
    assert "Brier" not in boxes


def test_times_are_shown_and_a_slower_network_is_said() -> None:
    slow = replace(FACTS, speed=[("dense", _speed(FAST)), ("shrunk", _speed(SLOW))])
    text = card(slow)
    assert "13.400 (13.300–13.500)" in text
    said = "In onnxruntime, batch 1, it is slower than the dense network: 13.4 against 8.3 ms"
    assert f"{said}, at 2.05× fewer MACs." in text


def test_a_faster_network_and_one_as_fast_as_the_times_vary_are_not_called_slower() -> None:
    for ms, spread in ((4.0, 0.1), (8.5, 1.0)):
        pair = [("dense", _speed(FAST, spread=spread)), ("shrunk", _speed(ms, spread=spread))]
        assert "slower" not in card(replace(FACTS, speed=pair))


def test_what_was_asked_stands_in_place_of_a_target_that_nobody_asked_for() -> None:
    assert "(the target was 50.00%)" in card(FACTS)
    asked = CardRemarks("budget macs=0.5", ("The control did as well.",))
    text = card(replace(FACTS, remarks=asked))
    assert "(asked was: budget macs=0.5)" in text
    assert "target" not in text
    assert "- The control did as well.\n- One network" in text
    assert "target" not in card(replace(FACTS, outcome=True))


@pytest.mark.parametrize(
    ("item", "kind", "tag"),
    [
        ("image", "classification", "image-classification"),
        ("row", "regression", "tabular-regression"),
        ("sequence", "language-model", "text-generation"),
        ("image", "detection", "object-detection"),
        ("input", "classification", ""), ("pair", "recommendation", ""),
    ],
)  # fmt: skip
def test_only_tags_that_hubs_know(item: str, kind: str, tag: str) -> None:
    assert purpose_of(item, kind) == tag
    front = card(replace(FACTS, item=item, kind=kind)).split("---")[1]
    assert (f"pipeline_tag: {tag}" in front) if tag else ("pipeline_tag" not in front)


def test_what_a_file_holds_beside_its_weights_is_said() -> None:
    sizes = {"bytes of the weights": (None, 1000), "bytes of the file": (None, 3000)}
    assert "holds 2,000 bytes: the description" in card(replace(FACTS, sizes=sizes))
    sizes["bytes of the file"] = (None, 1050)
    assert "Beside the weights" not in card(replace(FACTS, sizes=sizes))
