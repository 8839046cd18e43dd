"""Made-up records that look like real ones."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd
from PIL import Image

from prunebench.storage.layout import Layout
from prunebench.storage.records import (
    COLUMNS,
    LATENCY_COLUMNS,
    LAYER_COLUMNS,
    SENSITIVITY_COLUMNS,
    row,
)

REGIMES = ("clean", "noisy-40")
MODELS = {"test_resnet": (370_000, 9.1e6), "seed-cnn": (88_000, 3.4e6)}
METHODS = {
    "random": "weight", "magnitude": "weight", "imp": "weight", "snip": "weight",
    "l1-filter": "structure", "apoz": "activation", "wanda": "hybrid",
}  # fmt: skip
STRENGTH = {
    "random": 0.0, "magnitude": 0.5, "imp": 1.0, "snip": 0.4, "l1-filter": 0.15, "apoz": 0.1,
    "wanda": 0.6,
}  # fmt: skip
SPARSITIES = (0.5, 0.75, 0.875, 0.9375, 0.96875, 0.984375)
DENSE_ERROR = {"clean": 0.04, "noisy-40": 0.31}


def _error(regime: str, method: str, octaves: float) -> float:
    """Test error of a pruned model: clean rises late; noisy has the sparse double descent."""
    reach = 5.5 + 2.5 * STRENGTH[method]  # octaves until the network is too small
    collapse = 0.86 / (1 + np.exp(-2.2 * (octaves - reach)))
    if regime == "clean":
        return 0.04 - 0.004 * STRENGTH[method] * np.exp(-((octaves - 3) ** 2)) + collapse
    bump = 0.04 * np.exp(-((octaves - 1.5) ** 2))
    descent = -(0.1 + 0.07 * STRENGTH[method]) / (1 + np.exp(-2.5 * (octaves - 3.6)))
    return 0.31 + bump + descent + collapse


def _quality(
    regime: str, method: str, test: float, octaves: float, noise: np.random.Generator
) -> dict:
    middle = 3 + STRENGTH.get(method, 9) + noise.normal(0, 0.05)
    lost = 1 / (1 + np.exp(-2 * (octaves - middle)))
    noisy = regime != "clean"
    train = 0.002 + (0.38 * lost if noisy else 0.2 * test * lost)
    val = float(np.clip(test + noise.normal(0, 0.008), 0, 1))
    return {
        "train_error": train, "val_error": val, "test_error": test,
        "train_nll": 2 * train, "val_nll": 3 * val, "test_nll": 3 * test,
        "train_mse": 0.1 * train, "val_mse": 0.15 * val, "test_mse": 0.15 * test,
        "generalization_gap": test - train, "test_ece": 0.5 * test,
        "memorized": float(np.clip(0.99 - 0.9 * lost, 0, 1)) if noisy else None,
        "flips": min(1.0, 0.02 + 0.8 * test),
    }  # fmt: skip


def _size(model: str, method: str, sparsity: float, family: str) -> dict:
    params, macs = MODELS[model]
    kept = params * (1 - 0.97 * sparsity)
    factor = 1.35 if family in ("structure", "activation") else 0.55
    macs_kept = macs * (1 - sparsity) ** factor if sparsity else macs
    return {
        "sparsity_achieved": sparsity, "params_total": params, "params_kept": round(kept),
        "compression_ratio": params / round(kept), "macs_dense": macs,
        "macs_kept": round(macs_kept), "theoretical_speedup": macs / round(macs_kept),
        "bytes_dense": 4 * params, "bytes_kept": 4 * round(kept),
    }  # fmt: skip


def synthetic(seeds: int = 3, broken: bool = True) -> pd.DataFrame:
    """1 task, 2 regimes, 2 models, 7 methods and dense, ``seeds`` seeds, 6 sparsities."""
    rows = []
    for regime in REGIMES:
        for model in MODELS:
            for seed in range(seeds):
                shift = np.random.default_rng([seed, zlib.crc32(f"{regime}{model}".encode())])
                level = shift.normal(0, 0.008 if regime != "clean" else 0.003)
                for method, family in {"dense": "dense", **METHODS}.items():
                    for sparsity in (0.0,) if method == "dense" else SPARSITIES:
                        rows.append(_cell(regime, model, method, family, seed, sparsity, level))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return _break(table) if broken else table


def _cell(
    regime: str, model: str, method: str, family: str, seed: int, sparsity: float, level: float
) -> dict:
    name = f"{regime}/{model}/{method}/{seed}/{sparsity}"
    noise = np.random.default_rng(zlib.crc32(name.encode()))
    octaves = -np.log2(1 - sparsity)
    error = DENSE_ERROR[regime] if method == "dense" else _error(regime, method, octaves)
    test = round(float(np.clip(error + level + noise.normal(0, 0.004), 0, 0.9)), 3)
    return row(
        {
            "experiment": "trial", "task": "digits", "regime": regime, "model": model,
            "method": method, "family": family, "seed": seed, "sparsity": sparsity,
            "status": "ok", "classes": 10, **_size(model, method, sparsity, family),
            **_quality(regime, method, test, octaves, noise),
            "train_epochs": 40.0 if method != "imp" else 80.0,
            "train_seconds": 6 + noise.random(), "prune_seconds": 0.1,
            "device": "cpu", "threads": 1, "python_version": "3.11.7", "torch_version": "2.9.1",
            "torchvision_version": "0.24.1", "timm_version": "1.0.22", "commit": "0" * 40,
            "dirty": False,
        }
    )  # fmt: skip


def _break(table: pd.DataFrame) -> pd.DataFrame:
    """A failed, a diverged and two collapsed cells, as a real grid has them."""
    quality = [*_quality("clean", "imp", 0.1, 1, np.random.default_rng(0))]

    def pick(method: str, seed: int, sparsity: float) -> pd.Series:
        return (
            (table["method"] == method) & (table["seed"] == seed)
            & (table["sparsity"] == sparsity) & (table["model"] == "seed-cnn")
        )  # fmt: skip

    for method, seed, status in (("snip", 1, "diverged"), ("apoz", 2, "failed")):
        lost = pick(method, seed, 0.984375) & (table["regime"] == "clean")
        table.loc[lost, quality] = np.nan
        table.loc[lost, ["status", "message"]] = [status, "made up"]
    table.loc[pick("magnitude", 0, 0.984375), "status"] = "collapsed"
    return table


def picture(layout: Layout, task: str = "digits") -> Layout:
    """The layout with a figure in place, which a leaderboard without one would draw for itself."""
    layout.figures.mkdir()
    Image.new("RGB", (40, 30), "white").save(layout.figures / f"error-compression-{task}.png")
    return layout


PARTS = ("control", "criterion", "pattern", "allocation", "schedule", "recovery")
MADE = {
    "dense": (True, None, None, None, None, None),
    "random": (True, "random", "weight", "global", "one-shot", "fine-tuning"),
    "magnitude": (False, "magnitude", "weight", "global", "one-shot", "fine-tuning"),
    "imp": (False, "magnitude", "weight", "global", "one-shot", "weight-rewinding"),
    "snip": (True, "magnitude", "weight", "shuffled", "one-shot", "fine-tuning"),
    "l1-filter": (False, "l1-norm", "filter", "uniform", "one-shot", "fine-tuning"),
    "apoz": (False, "apoz", "filter", "uniform", "one-shot", "fine-tuning"),
    "wanda": (False, "wanda", "weight", "per-row", "one-shot", "none"),
}


def every_column(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with parts, regimes, harm and predictors; snip is shuffled."""
    cells = cells.reset_index(drop=True)
    for place, part in enumerate(PARTS):
        cells[part] = [MADE[method][place] for method in cells["method"]]
    generator = np.random.default_rng(0)
    share = pd.Series(generator.random(len(cells)), cells.index)
    noisy = cells["regime"] != "clean"
    return cells.assign(
        label_noise=np.where(noisy, 0.4, 0.0), train_samples=1000.0, width=1.0,
        recovered=(1 - cells["memorized"]) * 0.8, flips_to_wrong=0.1 * share,
        flips_to_right=0.2 * share, worst_class_change=share - 0.5, corrupted_error=share,
        test_overconfidence=0.3 - share,
        instability=share.where(cells["sparsity"] > 0),
        distance=1 + share, sharpness=np.exp(6 * share),
    )  # fmt: skip


WHERE = {"task": "digits", "regime": "clean", "model": "seed-cnn", "seed": 0}
HOW = {"repeats": 9, "threads": 1, "device": "a processor"}


def times() -> pd.DataFrame:
    rows = [
        {**WHERE, **HOW, "method": "l1-filter", "sparsity": 0.5, "network": network,
         "engine": "eager", "batch": batch, "median_ms": ms, "low_ms": 0.9 * ms, "high_ms": 2 * ms}
        for batch in (1, 128)
        for network, ms in (("dense", 4 * batch), ("masked", 5 * batch), ("shrunk", 2 * batch))
    ]  # fmt: skip
    rows.append(
        {**WHERE, "method": "l1-filter", "sparsity": 0.5, "network": "dense",
         "engine": "semi-structured", "batch": 1, "message": "not measured on this hardware"}
    )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(LATENCY_COLUMNS))


def layers(cells: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {**WHERE, "model": model, "method": method, "sparsity": sparsity, "layer": f"conv{i}",
         "place": i, "weights": 100 * (i + 1), "kept": int(100 * (i + 1) * (1 - sparsity)) + 1,
         "units": 10, "units_kept": 10 - i}
        for model in cells["model"].unique()
        for method in ("magnitude", "l1-filter")
        for sparsity in (0.5, 0.875)
        for i in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(LAYER_COLUMNS))


def sensitivity(layers: int, sparsities: tuple[float, ...] = (0.5, 0.9)) -> pd.DataFrame:
    """Layers whose loss and error rise by the sparsity, the more the later they come."""
    rows = [
        {**WHERE, "method": "magnitude", "sparsity": sparsity, "layer": f"conv{i}.weight",
         "place": i, "weights": 100, "macs": 4000, "ms": 0.25, "removed": sparsity,
         "loss": 0.3 + sparsity * i / layers, "error": 0.05 + sparsity * i / layers,
         "dense_loss": 0.3, "dense_error": 0.05, "samples": 256}
        for sparsity in sparsities
        for i in range(layers)
    ]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(SENSITIVITY_COLUMNS))


def saved(cells: pd.DataFrame) -> pd.DataFrame:
    """The made-up cells with sizes and times of a plausible kind."""
    ratio = 1 / (1 - cells["sparsity"])
    filters = cells["method"].isin(["l1-filter", "apoz"])
    gain = ratio.where(filters, 1.0)
    return cells.assign(
        shrink=np.where(filters, "verified", "unchanged"),
        params_shrunk=1e5 / gain,
        macs_shrunk=1e6 / gain,
        shrunk_speedup=gain,
        bytes_compressed=4e5 / ratio,
        bytes_dense=4e5,
        bytes_onnx=4e5 / ratio,
        bytes_quantized=1.1e5 / ratio**0.8,
        quantized_error=cells["test_error"] + 0.01,
        latency_ms=2 / gain**0.5,
        latency_dense_ms=2.0,
        measured_speedup=gain**0.5,
        measured_speedup_batch=gain**0.9,
        theoretical_speedup=ratio,
    )


STRETCHED = ("random", "magnitude", "imp")  # run at lengths 3 and 10 as well


def judged_twice(cells: pd.DataFrame, broken: bool = True) -> pd.DataFrame:
    """The cells with every column, with how trainings ended and where they would have stopped.

    With noisy labels gains of short recoveries are under-trained, and losses at length 10; each
    state that noisy validation stops is as good as any other.
    """
    short = every_column(cells).assign(recovery_length=1.0, base_method=lambda t: t["method"])
    long = short[short["method"] == "imp"].assign(
        method="dense-long", base_method="dense-long", sparsity=0.0, control=True,
        schedule="dense", recovery="learning-rate-rewinding", compression_ratio=1.0, status="ok",
        params_kept=lambda t: t["params_total"], test_error=0.05, message=None,
    )  # fmt: skip
    keys = ["task", "regime", "model", "seed"]
    long = long.drop_duplicates(keys).copy()
    dense = short[short["method"] == "dense"].set_index(keys)["test_error"]
    long["test_error"] = long.join(dense.rename("of_dense"), on=keys)["of_dense"] + 0.01
    tables = [short, long]
    for length in (3.0, 10.0):
        part = pd.concat([short[short["method"].isin(STRETCHED)], long]).copy()
        part["method"] += f"-{length:g}x"
        tables.append(part.assign(recovery_length=length))
    table = pd.concat(tables, ignore_index=True)
    noisy, length = table["regime"] != "clean", table["recovery_length"]
    pruned, ok = table["sparsity"] > 0, table["status"] == "ok"
    octaves = -np.log2(1 - table["sparsity"])
    drawn = np.random.default_rng(1).normal(0, 0.006, len(table))
    known = 0.34 + 0.012 * octaves + 0.02 * np.log10(length) + drawn
    share = np.log10(length)
    error = (1 - share) * table["test_error"] + share * known
    table["test_error"] = error.where(noisy & pruned & (length > 1), table["test_error"])
    table["train_error"] = table["train_error"].where(
        ~(noisy & pruned), table["train_error"] * (1 - share)
    )
    stopped = 0.19 + 0.001 * octaves + drawn / 2
    table["stopped_test_error"] = table["test_error"].where(~noisy, stopped).where(ok)
    table["stopped_val_error"] = table["stopped_test_error"] + 0.004
    table["noisy_val_error"] = (0.4 + 0.55 * table["val_error"]).where(noisy)
    table["stopped_noisy_val_error"] = (0.4 + 0.55 * table["stopped_val_error"]).where(noisy)
    table["training_outcome"] = np.where(
        (table["train_error"] > 0.01) & noisy, "under-trained", "trained-out"
    )
    table["training_outcome"] = table["training_outcome"].where(table["status"] == "ok", None)
    table["test_error"] = table["test_error"].round(4)
    if broken:
        failed = (table["seed"] == 1) & (table["method"] == "dense-long") & noisy
        failed |= (table["seed"] == 2) & (table["method"] == "imp-10x") & (table["sparsity"] == 0.5)
        table.loc[failed, ["training_outcome", "train_error", "test_error"]] = [
            "failed-to-train", 0.88, 0.9,
        ]  # fmt: skip
    return table
