"""The settings of a configuration: checked, unchangeable, described in the JSON schema."""

from prunebench.experiment.settings.experiment import (
    REGULAR,
    Analysis,
    Calibration,
    Compute,
    Experiment,
    Probes,
    Prunable,
    Report,
)
from prunebench.experiment.settings.method import PARTS, SCORING, First, Method, Part
from prunebench.experiment.settings.names import Name
from prunebench.experiment.settings.task import Augmentation, Regime, Speech, Task
from prunebench.experiment.settings.training import Model, Training

__all__ = [
    "PARTS", "REGULAR", "SCORING", "Analysis", "Augmentation", "Calibration", "Compute",
    "Experiment", "First", "Method", "Model", "Name", "Part", "Probes", "Prunable", "Regime",
    "Report", "Speech", "Task", "Training",
]  # fmt: skip
