"""Rows and columns of embeddings: by hand, with what reads them, and shrunk."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import Refused
from prunebench.evaluation.size import size
from prunebench.pruning.layers import prunable_layers

TABLES = {"exclude": ["hidden"]}


class Rating(nn.Module):
    """Users and items of 4 numbers each: their product beside a layer over both."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(6, 4), nn.Embedding(8, 4)
        self.hidden, self.head = nn.Linear(8, 5), nn.Linear(9, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        user, item = self.users(pairs[:, 0]), self.items(pairs[:, 1])
        both = self.hidden(torch.cat([user, item], 1)).relu()
        return self.head(torch.cat([user * item, both], 1)).flatten()

    def get_classifier(self) -> nn.Module:
        return self.head


class Apart(Rating):
    """Without the product: columns of users and items are read each on their own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        user, item = self.users(pairs[:, 0]), self.items(pairs[:, 1])
        return self.head(self.hidden(torch.cat([user, item], 1)).relu()).flatten()


class Spoken(nn.Module):
    """Tokens to a GRU, or to a layer norm."""

    def __init__(self, normed: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.norm = nn.LayerNorm(6) if normed else nn.Identity()
        self.rnn, self.head = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.norm(self.embed(x)))[0].mean(1))

    def get_classifier(self) -> nn.Module:
        return self.head


def pairs(count: int = 10) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (count,), generator=draw) for n in (6, 8)], 1)


def tokens(count: int = 8) -> Tensor:
    return torch.randint(20, (count, 7), generator=torch.Generator().manual_seed(0))


def method(
    pattern: Any, criterion: str = "magnitude", allocation: str = "global"
) -> dict[str, Any]:
    return {"criterion": criterion, "pattern": pattern, "allocation": allocation}


def test_rows_by_hand() -> None:
    """Users have norms 2, 4, …, 12 and items 1, 3, …, 15: the smallest seven go."""
    model = Rating()
    with torch.no_grad():
        model.users.weight.copy_(torch.arange(1.0, 7.0)[:, None].expand(6, 4))
        model.items.weight.copy_((torch.arange(8.0) + 0.5)[:, None].expand(8, 4))
    masks = prunebench.prune(model, method("row", "l2-norm"), 0.5, prunable=TABLES)
    assert masks["users.weight"].all(1).tolist() == [False] * 3 + [True] * 3
    assert masks["items.weight"].all(1).tolist() == [False] * 4 + [True] * 4
    assert all(torch.equal(mask.any(1), mask.all(1)) for mask in masks.values())
    assert not model.users.weight[:3].any()


def test_rows_beside_other_layers_count_against_all_weights() -> None:
    """The tables hold 56 of 96 prunable weights; a quarter of these are six rows of four."""
    model = Rating()
    assert sum(layer.weight.numel() for layer in prunable_layers(model).values()) == 96
    masks = prunebench.prune(model, method("row", "random"), 0.25)
    assert sum(int((~mask).sum()) for mask in masks.values()) == 24
    assert masks["hidden.weight"].all()
    with pytest.raises(Refused, match=r"only 0.5\d+ of the prunable weights belong to rows"):
        prunebench.prune(Rating(), method("row", "random"), 0.9)


def test_the_row_of_the_padding_stays_and_is_no_entry() -> None:
    """Of seven rows three go: the smallest but the padding's, which is zero."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 4, padding_idx=2)
            self.head = nn.Linear(4, 1)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.table(tokens).mean(1))

        def get_classifier(self) -> nn.Module:
            return self.head

    model = Padded()
    with torch.no_grad():
        model.table.weight.copy_(torch.tensor([6.0, 5, 0, 4, 3, 2, 1])[:, None].expand(7, 4))
    (mask,) = prunebench.prune(model, method("row", "l2-norm"), 3 / 7).values()
    assert mask.any(1).tolist() == [True, True, True, True, False, False, False]
    with pytest.raises(Refused, match=r"only 0.7\d+ of the prunable weights belong to rows"):
        prunebench.prune(Padded(), method("row", "random"), 0.99)  # five can go


def test_rows_are_spread_by_the_allocation() -> None:
    masks = prunebench.prune(Rating(), method("row", "l2-norm", "uniform"), 0.5, prunable=TABLES)
    assert [int(mask.any(1).sum()) for mask in masks.values()] == [3, 4]


def test_what_is_rare_goes_first() -> None:
    """Of user 0 there is one pair, of user 1 two, and so on; item 7 never occurs."""
    model = Rating()
    given = torch.tensor([[u, (u + k) % 7] for u in range(6) for k in range(u + 1)])
    counts = torch.bincount(given[:, 1], minlength=8)
    batches = [(given, torch.zeros(len(given)))]
    loss = lambda outputs, targets: (outputs - targets).square().mean()  # noqa: E731
    masks = prunebench.prune(
        model, method("row", "popularity", "uniform"), 0.5, batches=batches, loss=loss,
        prunable=TABLES,
    )  # fmt: skip
    assert masks["users.weight"].any(1).tolist() == [False] * 3 + [True] * 3
    gone = ~masks["items.weight"].any(1)
    assert counts[gone].max() <= counts[~gone].min()
    assert bool(gone[7])


def test_columns_go_with_what_reads_them() -> None:
    """Columns of users and items are tied by their product, which the head reads."""
    model = Rating()
    masks = prunebench.prune(
        model, method("column"), 0.5, example=pairs(2), prunable={"exclude": []}
    )
    gone = ~masks["users.weight"].any(0)
    assert 0 < int(gone.sum()) < 4
    assert torch.equal(~masks["items.weight"].any(0), gone)
    assert torch.equal(~masks["hidden.weight"].any(0), gone.repeat(2))
    assert torch.equal(~masks["head.weight"].any(0), torch.cat([gone, torch.zeros(5).bool()]))
    shrunk = shrink(model, masks, pairs(1))
    assert verify(model, shrunk.model, pairs()) <= TOLERANCE
    assert shrunk.model.users.embedding_dim == 4 - int(gone.sum())
    assert [(i.unit, i.before, i.after) for i in shrunk.removed if i.name == "items"] == [
        ("columns", 4, 4 - int(gone.sum()))
    ]


def test_columns_that_are_read_apart_go_apart() -> None:
    model = Apart()
    with torch.no_grad():
        model.users.weight[:, 1] = 0.01
        model.items.weight[:, [0, 3]] = 0.01
    masks = prunebench.prune(model, method("column"), 0.4, example=pairs(2))
    assert (~masks["users.weight"].any(0)).tolist() == [False, True, False, False]
    assert (~masks["items.weight"].any(0)).tolist() == [True, False, False, True]
    assert (~masks["hidden.weight"].any(0)).tolist() == [
        False, True, False, False, True, False, False, True,
    ]  # fmt: skip


def test_columns_that_a_recurrent_layer_reads() -> None:
    model = Spoken()
    masks = prunebench.prune(model, method("column"), 0.3, example=tokens(2))
    gone = ~masks["embed.weight"].any(0)
    assert bool(gone.any())
    assert torch.equal(~masks["rnn.weight_ih_l0"].any(0), gone)
    assert masks["rnn.weight_hh_l0"].all()
    shrunk = shrink(model, masks, tokens(1))
    assert verify(model, shrunk.model, tokens()) <= TOLERANCE
    assert shrunk.model.rnn.input_size == shrunk.model.embed.embedding_dim == 6 - int(gone.sum())


def test_columns_that_are_normalized_are_refused_or_go_alone() -> None:
    model = Spoken(normed=True)
    with pytest.raises(Refused, match=r"no columns of embeddings.*embed.weight \(a norm runs acr"):
        prunebench.prune(model, method("column"), 0.3, example=tokens(2))
    alone = {"name": "column", "coupled": False}
    masks = prunebench.prune(model, method(alone), 0.3, example=tokens(2))
    gone = ~masks["embed.weight"].any(0)
    assert bool(gone.any())
    assert masks["rnn.weight_ih_l0"].all()
    assert not model.embed.weight[:, gone].any()


def test_filters_leave_embeddings_alone() -> None:
    masks = prunebench.prune(Spoken(), method("filter", "l2-norm"), 0.3, example=tokens(2))
    assert masks["embed.weight"].all()
    assert not masks["rnn.weight_hh_l0"].all()


@pytest.mark.parametrize("pattern", ["row", "column"])
def test_without_embeddings_both_are_refused(pattern: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    batches = [(torch.randn(4, 4), torch.zeros(4, dtype=torch.long))]
    with pytest.raises(Refused, match=r"no embedding|no columns of embeddings"):
        prunebench.prune(model, method(pattern), 0.5, batches=batches)


@pytest.mark.parametrize("pattern", ["row", "column"])
def test_rounds_only_ever_remove(pattern: str) -> None:
    model = Apart()
    less = prunebench.prune(model, method(pattern), 0.2, example=pairs(2), prunable={})
    plain = Apart()
    plain.load_state_dict(model.state_dict())
    more = prunebench.prune(plain, method(pattern), 0.5, example=pairs(2))
    assert all(not (more[name] & ~less[name]).any() for name in less)


def test_rows_save_bytes_and_no_macs() -> None:
    model = Rating()
    masks = prunebench.prune(model, method("row", "l2-norm"), 0.5, prunable=TABLES)
    found = size(model, pairs(1), masks, list(masks))
    assert found["macs_kept"] == found["macs_dense"] == 8 * 5 + 9
    assert found["bytes_kept"] < found["bytes_dense"]
    assert found["sparsity_achieved"] == 0.5
