"""Write a network as a file that is used without the suite: ONNX, torch.export, safetensors.

The file takes inputs as they are stored, e.g. images uint8 [N, C, H, W], normalizes them itself and
gives the answers of its kind of task, e.g. logits float32 [N, classes], for any N.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.compression.shrunk_description import describe, restore
from prunebench.errors import PrunebenchError, Refused, reason_of, suggest
from prunebench.experiment.settings import Model
from prunebench.pruning.held_networks import copied
from prunebench.storage import cell_files
from prunebench.storage.files import read_json, replacing, write_json
from prunebench.tasks.forms import FORMS, Form
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.task_kind import TaskKind, kind_of
from prunebench.training import models
from prunebench.training.loop import logits_of

# pinned: the runtime that a file needs must not depend on the version of torch
OPSET = 20
ONNX, PT2, WEIGHTS, NETWORK, MASKS = (
    "model.onnx", "model.pt2", "model.safetensors", "model.json", "masks.safetensors",
)  # fmt: skip


class Deployed(nn.Module):
    """A network with its preprocessing: stored inputs to answers, e.g. uint8 images to logits.

    ``mean`` and ``std`` are on the scale of the stored inputs (``TaskData.moments``).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Tensor, std: Tensor, form: Form, kind: TaskKind
    ) -> None:
        super().__init__()
        self.form, self.kind = form, kind
        # runtimes choose their own memory format: none belongs into a file
        network = copied(network).cpu().to(memory_format=torch.contiguous_format)
        self.network = network.eval()
        self.register_buffer("mean", mean.detach().cpu())
        self.register_buffer("std", std.detach().cpu())
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return answers [N, ...] to stored inputs [N, ...]."""
        normalized = self.form.normalized(inputs, self.mean, self.std)
        return self.kind.answers(logits_of(self.network(normalized)))


@dataclass(frozen=True)
class Package:
    """A network to export, with what describes it."""

    deployed: Deployed
    dense: nn.Module  # as it was built, before anything was removed
    masks: Mapping[str, Tensor]  # parameter of ``dense`` -> bool, True is kept
    model: Model  # how ``dense`` is built
    width: float  # factor on its channels
    classes: tuple[str, ...]
    example: Tensor  # two inputs as they are stored: torch.export takes a batch of one for constant
    facts: NetworkFacts  # for which ``dense`` is built
    about: Mapping[str, str]  # provenance that goes into the file

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input as it is stored: of an image channels, height, width."""
        return tuple(self.example.shape[1:])


@dataclass(frozen=True)
class Format:
    """A way to write a network, and the code with which a user predicts with the file.

    ``loader`` runs in the folder of the files and defines ``predict(inputs)``, of arrays as they
    are stored to answers, float32 [N, ...]. It is run to verify a file, and shown in its card.
    """

    file: str
    library: str
    write: Callable[[Package, Path], dict[str, Any]]  # into a folder; what is to be recorded
    loader: str
    engines: tuple[str, ...]  # those that run the file: their times are its own


def onnx_bytes(module: nn.Module, example: Tensor, about: Mapping[str, str] | None = None) -> bytes:
    """Return a module of one input [N, ...] and one output as ONNX, for any N.

    The input is named ``inputs``, the output ``answers``. Batch norms are folded into the layers
    before them.

    Args:
        module: in eval mode.
        example: an input of two samples or more.
        about: text that goes into the file, by key.

    Raises:
        Refused: the module cannot be exported.
    """
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporter does inside of it
            program = torch.onnx.export(
                module, (example,), dynamo=True, opset_version=OPSET, optimize=True, verbose=False,
                input_names=["inputs"], output_names=["answers"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
    except Exception as error:  # whatever a network does that the exporter cannot follow
        # the exporter's own message is of what to do next
        reason = reason_of(error if error.__cause__ is None else error.__cause__)
        raise Refused(f"cannot export to onnx: {reason}") from error
    if program is None:
        raise Refused("cannot export to onnx: the exporter returned nothing")
    proto = program.model_proto
    if not proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise Refused(
            f"cannot export to onnx: the file would take {len(example)} inputs at a time and no"
            " other number; does the network take len() of a tensor?"
        )
    for key, value in (about or {}).items():
        proto.metadata_props.add(key=key, value=value)
    return proto.SerializeToString()


def _write_onnx(package: Package, folder: Path) -> dict[str, Any]:
    about = {**package.about, "classes": json.dumps(package.classes)}
    data = onnx_bytes(package.deployed, package.example, about)
    with replacing(folder / ONNX) as temporary:
        temporary.write_bytes(data)
    return {"opset": OPSET}


def _write_torch_export(package: Package, folder: Path) -> dict[str, Any]:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                package.deployed, (package.example,),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
    except Exception as error:
        raise Refused(f"cannot export to torch-export: {reason_of(error)}") from error
    about = {**package.about, "classes": json.dumps(package.classes)}
    # torch.export wants a name that ends in .pt2, which a temporary file's does not
    torch.export.save(program, folder / PT2, extra_files={"about.json": json.dumps(about)})
    return {"torch": torch.__version__}


def _write_safetensors(package: Package, folder: Path) -> dict[str, Any]:
    network, kind = package.deployed.network, package.deployed.kind
    dtype = str(package.example.dtype).removeprefix("torch.")
    write_json(
        folder / NETWORK,
        {
            # the weights are in the file: none are fetched
            "model": package.model.drawn().model_dump(mode="json"),
            "width": package.width,
            "classes": list(package.classes),
            "facts": dict(package.facts.values),
            "kind": {"name": kind.name, "facts": dict(kind.facts)},
            "form": package.deployed.form.name,
            "structure": describe(package.dense, network),
            "preprocessing": {
                "input": f"{dtype} {['N', *package.shape]}",
                "formula": "(inputs - mean) / std where there are moments",
                "mean": package.deployed.mean.flatten().tolist(),
                "std": package.deployed.std.flatten().tolist(),
            },
            "masks": MASKS,
            "about": dict(package.about),
        },
    )  # fmt: skip
    # clones: safetensors refuses tensors that share their memory
    state = {name: value.clone() for name, value in network.state_dict().items()}
    cell_files.save_tensors(folder / WEIGHTS, state)
    masks = {name: mask.to(torch.uint8) for name, mask in package.masks.items()}
    cell_files.save_tensors(folder / MASKS, masks)
    return {}


def load_network(folder: str | Path) -> Deployed:
    """Return the network of an export to safetensors, in eval mode, on the CPU.

    Raises:
        PrunebenchError: a file of the folder is missing or damaged.
    """
    folder = Path(folder)
    said = read_json(folder / NETWORK)
    try:
        settings, facts = Model(**said["model"]), NetworkFacts.read(said["facts"])
        network = models.create(settings, facts, seed=0, width=said["width"])
        restore(network, said["structure"], cell_files.load_tensors(folder / WEIGHTS))
        mean, std = (torch.tensor(said["preprocessing"][key]) for key in ("mean", "std"))
        kind = kind_of(said["kind"]["name"], said["kind"]["facts"])
        form = FORMS[said["form"]]
    except (KeyError, TypeError) as error:
        raise PrunebenchError(f"{folder / NETWORK} is damaged: {error}") from error
    return Deployed(network, mean, std, form, kind)


FORMATS = {
    "onnx": Format(
        ONNX, "onnx", _write_onnx,
        f"""# needs onnxruntime and numpy
import onnxruntime

session = onnxruntime.InferenceSession("{ONNX}", providers=["CPUExecutionProvider"])


def predict(inputs):
    return session.run(["answers"], {{"inputs": inputs}})[0]
""",
        ("onnxruntime",),
    ),
    "torch-export": Format(
        PT2, "pytorch", _write_torch_export,
        f"""# needs torch {torch.__version__.partition("+")[0]} or newer and numpy
import torch

network = torch.export.load("{PT2}").module()


@torch.no_grad()
def predict(inputs):
    return network(torch.from_numpy(inputs)).numpy()
""",
        ("eager",),
    ),
    "safetensors": Format(
        WEIGHTS, "safetensors", _write_safetensors,
        f"""# needs torch and prunebench, which builds the network as {NETWORK} describes it;
# the weights alone are read by safetensors.torch.load_file("{WEIGHTS}")
import torch

from prunebench.compression.export_formats import load_network

network = load_network(".")


@torch.no_grad()
def predict(inputs):
    return network(torch.from_numpy(inputs)).numpy()
""",
        ("eager",),
    ),
}  # fmt: skip


def format_of(name: str) -> Format:
    """Return a format by its name; raise PrunebenchError where there is none."""
    if name not in FORMATS:
        raise PrunebenchError(f"--to: no format {name!r}{suggest(name, FORMATS)}")
    return FORMATS[name]
