"""What may stand in a configuration: frozen, checked settings. Never torch."""

from prunebench.settings.data import Augmentation, Regime, Task
from prunebench.settings.experiment import Analysis, Compute, Experiment, Probes, Prunable
from prunebench.settings.method import PARTS, SCORING, First, Method, Part
from prunebench.settings.names import Name
from prunebench.settings.training import Model, Training

__all__ = [
    "PARTS", "SCORING", "Analysis", "Augmentation", "Compute", "Experiment", "First", "Method",
    "Model", "Name", "Part", "Probes", "Prunable", "Regime", "Task", "Training",
]  # fmt: skip
