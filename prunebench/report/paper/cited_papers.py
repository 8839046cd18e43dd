"""The papers behind an experiment: those of its methods, data, measures and training.

Papers are named as everywhere in the package, "Han 2015"; their entries are in references.bib.
"""

from __future__ import annotations

from prunebench.experiment.part_kinds import KINDS, Network, Schedule
from prunebench.experiment.registry import builtin
from prunebench.experiment.settings import PARTS, SCORING, First, Method, Model, Task, Training
from prunebench.report.paper.citations import keys

# of data sets, by the task's data set or, without one, its source
DATA = {
    "digits": "Alpaydin 1998; Pedregosa 2011",
    "CIFAR10": "Krizhevsky 2009",
    "CIFAR100": "Krizhevsky 2009",
    "MNIST": "LeCun 1998",
    "FashionMNIST": "Xiao 2017",
    "SVHN": "Netzer 2011",
    "GTSRB": "Stallkamp 2012",
    "medmnist": "Yang 2023",
    "tiny-imagenet": "Le 2015",
}
NOISE = {
    "symmetric": "Zhang 2017", "asymmetric": "Patrini 2017", "pair-flip": "Han 2018",
    "shifted": "Liu 2022",
}  # fmt: skip
# of what a record holds, by the first column of the measure; the words for it
MEASURES = {
    "test_nll": ("negative log-likelihood", "Good 1952"),
    "test_auc": ("area under the ROC curve", "Hanley 1982"),
    "test_rmse": ("root mean squared error", "Hyndman 2006"),
    "test_perplexity": ("perplexity", "Jelinek 1977"),
    "test_bleu": ("BLEU", "Papineni 2002; Post 2018"),
    "test_chrf": ("chrF", "Popović 2015; Post 2018"),
    "test_word_error_rate": ("word error rate", "Morris 2004"),
    "test_map": ("mean average precision", "Lin 2014"),
    "test_ndcg_at_10": ("normalized discounted cumulative gain", "Järvelin 2002"),
    "test_ece": ("calibration error", "Guo 2017"),
    "memorized": ("share of wrong labels memorized", "Arpit 2017"),
    "recovered": ("share of true labels recovered", "Liu 2020"),
    "flips": ("flips against the dense network", "Hooker 2019"),
    "worst_class_change": ("change of the worst class", "Hooker 2020"),
    "test_margin": ("margin", "Jiang 2020"),
    "instability": ("instability at pruning", "Bartoldson 2020"),
    "corrupted_error": ("error under corruptions", "Hendrycks 2019"),
    "distance": ("distance from initialization", "Nagarajan 2019"),
    "sharpness": ("sharpness", "Foret 2021"),
    "params_shrunk": ("size after shrinking", "Fang 2023"),
    "bytes_compressed": ("compressed size", "Han 2016"),
    "quantized_error": ("error after quantization", "Jacob 2018"),
}
# its square is also recorded of values, which have no probabilities
OF_CLASSES = {"test_mse": ("Brier score", "Brier 1950")}
OPTIMIZERS = {"adamw": "Loshchilov 2019"}
SCHEDULES = {"cosine": "Loshchilov 2017"}
TIMM = "Wightman 2019"


def of_task(task: Task) -> list[str]:
    """Return the keys of a task's data."""
    return keys(DATA.get(task.dataset or task.source, DATA.get(task.source, "")))


def of_model(model: Model) -> list[str]:
    """Return the keys of a network, or of the library that provides it; none for one's own."""
    if model.sources():
        return []
    shipped = builtin(Network).get(model.architecture)
    return keys(shipped.summary if shipped else TIMM)


def of_training(training: Training) -> list[str]:
    """Return the keys of the optimizer and of the learning rate's schedule."""
    return keys(
        "; ".join([OPTIMIZERS.get(training.optimizer, ""), SCHEDULES.get(training.schedule, "")])
    )


def of_parts(method: Method) -> dict[str, list[str]]:
    """Return the keys of the papers that the docstrings of a method's parts name, by kind."""
    # a dense control removes nothing
    kinds = PARTS[3:] if method.spec(Schedule).traits.sparsities else PARTS
    return {kind: keys(method.spec(KINDS[kind]).summary) for kind in kinds}


def of_first(first: First) -> list[str]:
    """Return the keys of what a method prunes by before its own criterion."""
    return keys("; ".join(first.spec(KINDS[kind]).summary for kind in SCORING))
