"""Shrunk networks are built again from their class and a file, trained on, and pruned again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrunk_description import restore
from prunebench.errors import PrunebenchError

DRAW = torch.Generator().manual_seed(0)
IMAGES = torch.randn(4, 3, 64, 64, generator=DRAW)


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


class Tied(nn.Module):
    """Two layers of one weight between convolutions that can shrink."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.back = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 10)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.back(self.conv(x).relu()).relu().mean((2, 3))
        return self.head(self.two(self.one(x).relu()).relu())


BUILDS: dict[str, Callable[[], nn.Module]] = {
    "cnn": cnn,
    "tied": Tied,
    "resnet": lambda: timm.create_model("test_resnet", num_classes=10),
    "vit": lambda: timm.create_model("test_vit", num_classes=10, img_size=64),
}


def size(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


@pytest.mark.parametrize("name", BUILDS)
def test_it_is_built_again_trained_on_and_pruned_again(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model, file = BUILDS[name](), tmp_path / "smaller.safetensors"
    masks = prunebench.prune(model, "l1-filter", 0.4, example=IMAGES)
    smaller = prunebench.shrink(model, masks, IMAGES).model
    prunebench.save_shrunk(model, smaller, file)
    again = prunebench.load_shrunk(BUILDS[name](), file)
    assert size(again) == size(smaller) < size(model)
    assert not again.training
    torch.testing.assert_close(again(IMAGES), smaller(IMAGES), rtol=0, atol=0)

    optimizer = torch.optim.SGD(again.train().parameters(), 0.01)
    nn.functional.cross_entropy(again(IMAGES), torch.arange(4)).backward()
    assert all(value.grad is not None for value in again.parameters())
    optimizer.step()
    trained = again.eval()(IMAGES)
    assert not torch.equal(trained, smaller(IMAGES))

    masks = prunebench.prune(again, "l1-filter", 0.3, example=IMAGES)
    smallest = prunebench.shrink(again, masks, IMAGES).model
    assert size(smallest) < size(again)
    torch.testing.assert_close(smallest(IMAGES), again(IMAGES), rtol=1e-4, atol=1e-4)
    prunebench.save_shrunk(model, smallest, file)  # described from the whole one
    last = prunebench.load_shrunk(BUILDS[name](), file)
    torch.testing.assert_close(last(IMAGES), smallest(IMAGES), rtol=0, atol=0)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    plain, text, none = (tmp_path / name for name in ("plain.safetensors", "text", "none"))
    save_file(cnn().state_dict(), plain)
    text.write_text("no tensors")
    for file, message in ((plain, "holds no shrunk network"), (text, "text: "), (none, "none: ")):
        with pytest.raises(PrunebenchError, match=message):
            prunebench.load_shrunk(cnn(), file)
    model, file = cnn(), tmp_path / "smaller.safetensors"
    masks = prunebench.prune(model, "l1-filter", 0.4, example=IMAGES)
    prunebench.save_shrunk(model, prunebench.shrink(model, masks, IMAGES).model, file)
    with pytest.raises(PrunebenchError, match="the description is of another network"):
        prunebench.load_shrunk(Tied(), file)


@pytest.mark.parametrize(
    ("key", "value"), [("forward", "x"), ("_modules", {}), ("stride", [[1]]), ("weight", 1)]
)
def test_a_description_sets_plain_attributes_alone(key: str, value: object) -> None:
    model = cnn()
    place = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    structure = {"replaced": [], "attributes": {place: {key: value}}}
    with pytest.raises(PrunebenchError, match=rf"{place}\.{key} is no plain attribute"):
        restore(model, structure, model.state_dict())
