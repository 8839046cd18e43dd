"""The record: the public columns of ``cells.csv``, one row per cell.

Missing is empty, never 0. ``sparsity`` is the target, ``sparsity_achieved`` what was met.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prunebench.storage import layout

IDENTITY = (
    "experiment", "task", "regime", "model", "method", "family", "seed", "sparsity",
)  # fmt: skip
# ``published``: whose result it is, where others published it and it was not run here
STATUS = ("status", "message", "kind", "classes", "published")
# whether its training came to an end: the verdict, whether it ended on a plateau above the gate,
# the relative fall of the loss near its end, and the epoch at which it would have been stopped
TRAINING = ("training_outcome", "plateau", "train_loss_fall", "stopped_epoch")
TRAINED_OUT, UNDER_TRAINED = "trained-out", "under-trained"
FAILED_TO_TRAIN, STOPPED = "failed-to-train", "stopped"
# what the method is made of, and whether it is there to compare with
COMPOSITION = (
    "control", "criterion", "pattern", "allocation", "schedule", "recovery", "base_method",
    "recovery_length",
)  # fmt: skip
# what provokes overfitting, in numbers: shares, samples and a factor; how many validate and test
REGIME = (
    "label_noise", "noise", "train_samples", "val_samples", "test_samples", "augmentation", "width",
)  # fmt: skip
# of the network: whether at initialization a residual branch starts at zero (``zero_init_last``),
# the names of the weights that are its classifier, and the commit of the hub that it came from
NETWORK = ("zero_init_last", "classifier", "hub_commit")
SIZE = (
    "sparsity_achieved", "prunable_share", "tied_share", "params_total", "params_kept",
    "compression_ratio", "macs_dense", "macs_kept", "theoretical_speedup", "bytes_dense",
    "bytes_kept",
    # of the smallest network that was verified to compute the same: shrunk, else masked
    "shrink_difference", "params_shrunk", "macs_shrunk", "channels_multiple", "shrunk_speedup",
    "bytes_encoded", "bytes_compressed", "bytes_compressed_half", "bytes_onnx", "bytes_quantized",
)  # fmt: skip
# what came of shrinking, and why
SHRUNK = ("shrink", "shrink_message")
# whether recovery trained the network without its removed units, of methods that remove any, and
# why it did not; and the precision of training, float32 or bfloat16
TRAINED = ("trained_shrunk", "trained_shrunk_message", "precision")
SPLITS = ("train", "val", "test")
CORRUPTIONS = ("noise", "blur", "contrast", "pixelation")
# measures that are also taken where early stopping would have ended the training
AT_STOP = (
    "train_error", "train_clean_error", "val_error", "noisy_val_error", "test_error", "test_nll",
    "test_mse", "generalization_gap", "test_ece", "memorized", "recovered", "flips",
)  # fmt: skip
# of predictions; ``train`` is against the labels trained on, ``train_clean`` against the source's
QUALITY = (
    *(f"{split}_{measure}" for split in SPLITS for measure in ("error", "nll", "mse")),
    *(f"train_clean_{measure}" for measure in ("error", "nll", "mse")), "noisy_val_error",
    # of single validation samples against dense, on the labels that choices are made by
    "val_rise", "val_rise_square", "val_flips_to_wrong", "val_flips_to_right",
    "test_top5_error", "generalization_gap", "test_ece", "test_overconfidence", "test_margin",
    "memorized", "recovered", "flips", "flips_to_wrong", "flips_to_right", "worst_class_error",
    "worst_class_change", "test_balanced_error", "test_auc", "test_sensitivity", "test_specificity",
    "test_rmse", "test_mae", "test_r2", "test_popular_error", "test_middling_error",
    "test_rare_error", "test_perplexity", "test_uncertainty", "test_token_error",
    "test_word_error_rate", "test_map", "test_map_small", "test_map_medium", "test_map_large",
    "instability",
    *(f"{layout.STOPPED}{measure}" for measure in AT_STOP),
    # of forward passes over the stored weights
    "test_recall_at_10", "test_ndcg_at_10", "test_coverage_at_10", "test_chrf", "test_bleu",
    "test_exact", "corrupted_error",
    *(f"corrupted_{kind}_error" for kind in CORRUPTIONS), "distance",
    "sharpness", "quantized_error",
)  # fmt: skip
# networks that were tried to choose an allocation, and their epochs of training data, which are
# part of ``train_epochs``; the loss of the chosen one on calibration data, before any recovery, and
# what it would be if the losses of its layers added up; and what is kept beyond a budget, as a
# share of the dense network's weights, MACs or milliseconds (below 0: less than allowed).
# Times in milliseconds a batch of one image, speed-ups against the dense network, both as measured
# by the first engine; ``_batch`` with the largest batch, ``quantized`` in ONNX Runtime
COST = (
    "train_epochs", "train_seconds", "prune_seconds", "search_evaluations", "search_epochs",
    "calibration_loss", "expected_calibration_loss", "budget_miss", "latency_ms",
    "latency_dense_ms",
    "measured_speedup", "measured_speedup_batch", "masked_speedup_batch", "quantized_latency_ms",
    "quantized_speedup",
)  # fmt: skip
# what a reader needs to trace a row to what made it
PROVENANCE = (
    "identity", "config_hash", "data_hash", "weights_hash", "label_hash", "mask_hash", "code_hash",
    "commit", "dirty", "lock_hash", "device", "processor", "threads", "nondeterministic",
    "python_version", "torch_version", "torchvision_version", "timm_version",
)  # fmt: skip
# of record.json alone: hashes of its files and of itself, the masked layers in the network's order
ASIDE = ("files", "layers", "sha256")
COLUMNS = (
    *IDENTITY, *STATUS, *TRAINING, *COMPOSITION, *REGIME, *NETWORK, *SIZE, *SHRUNK, *TRAINED,
    *QUALITY, *COST, *PROVENANCE,
)  # fmt: skip

COORDINATES = ("task", "regime", "model", "method", "seed", "sparsity")
# latency.csv: milliseconds a batch (median, quartiles), images a second
LATENCY_COLUMNS = (
    *COORDINATES, "network", "engine", "batch", "median_ms", "low_ms", "high_ms", "throughput",
    "repeats", "threads", "device", "message",
)  # fmt: skip
# layers.csv: of the first seed; units are the rows of a layer's weight: filters, neurons
LAYER_COLUMNS = (
    *COORDINATES, "layer", "place", "weights", "kept", "units", "units_kept",
)  # fmt: skip
# sensitivity.csv: dense networks in which one layer, group of coupled filters or block alone is
# pruned by a method's criterion, without training; losses and errors are of calibration samples.
# ``weights`` and ``macs`` go with all of it, ``ms`` is how long it takes in the dense network
SENSITIVITY_COLUMNS = (
    *COORDINATES, "layer", "place", "weights", "macs", "ms", "removed", "loss", "error",
    "dense_loss", "dense_error", "samples", "message",
)  # fmt: skip

OK, DIVERGED, COLLAPSED, FAILED = "ok", "diverged", "collapsed", "failed"
STATUSES = (OK, DIVERGED, COLLAPSED, FAILED)
# what came of shrinking: smaller and verified, nothing to remove, other outputs, not possible
VERIFIED, UNCHANGED, DIFFERENT, REFUSED = "verified", "unchanged", "different", "refused"
DENSE = "dense"  # the method and the family of a baseline's own row
ALL = "all"  # in place of a task, regime or model: the results of all of them
FAMILIES = ("weight", "activation", "structure", "hybrid")


def row(values: dict[str, Any], own: Iterable[str] = ()) -> dict[str, Any]:
    """Return ``values`` in the order of COLUMNS, missing ones None.

    Args:
        values: of columns.
        own: further columns, which come last.

    Raises:
        KeyError: a key is no column; a misspelt measure must not vanish.
    """
    columns = (*COLUMNS, *own)
    unknown = set(values) - set(columns)
    if unknown:
        raise KeyError(f"no such columns: {', '.join(sorted(unknown))}")
    return {column: values.get(column) for column in columns}
