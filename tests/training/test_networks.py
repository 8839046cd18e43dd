"""The networks that ship for tokens, pairs, features and speech: by hand, and through pruning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import prunebench
from prunebench.compression.export_formats import onnx_bytes
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import PrunebenchError, Refused
from prunebench.experiment.part_kinds import Network
from prunebench.experiment.registry import builtin
from prunebench.experiment.settings import Model
from prunebench.pruning.coupling import find_groups
from prunebench.pruning.layers import prunable_layers
from prunebench.pruning.macs import macs
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training.models import create
from prunebench.training.networks._sequences import RecurrentLayers, reversed_within

TOKENS = {"num_classes": 5, "vocabulary": 20, "length": 9}
LANGUAGE = TOKENS | {"num_classes": 20}
FEATURES = {"num_classes": 3, "num_features": 7}
SPEECH = {"num_classes": 6, "in_chans": 1, "image_size": (16, 21)}
PAIRS = {"num_classes": 1, "users": 12, "items": 15}


def tokens(count: int = 8) -> Tensor:
    found = torch.randint(1, 20, (count, 9), generator=torch.Generator().manual_seed(0))
    found[0, 4:] = 0
    found[1, 1:] = 0
    return found


def pairs(count: int = 8) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(n, (count,), generator=draw) for n in (12, 15)], 1)


def spectrograms(count: int = 8) -> Tensor:
    return torch.randn(count, 1, 16, 21, generator=torch.Generator().manual_seed(0))


def rows(count: int = 8) -> Tensor:
    return torch.randn(count, 7, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Case:
    """A network on data of one form, with what is counted by hand for one input."""

    name: str
    facts: dict[str, Any]
    inputs: Callable[..., Tensor]
    outputs: tuple[int, ...]  # of one input
    parameters: int
    macs: int
    arguments: dict[str, Any]
    filters: bool = True  # whether filters, hidden units or heads can go
    whole: tuple[str, ...] = ()  # what keeps all of them, since it cannot be followed


E, U, L = 32, 64, 9  # embedding, units, length


def recurrent(gates: int, inputs: int, units: int) -> tuple[int, int]:
    """Weights, and weights with biases."""
    weights = gates * units * (inputs + units)
    return weights, weights + 2 * gates * units


GRU, GRU_ALL = recurrent(3, E, U)
LSTM, LSTM_ALL = recurrent(4, E, U)
BACK, BACK_ALL = recurrent(3, 2 * U, U)  # a second layer over both directions
LM, LM_ALL = recurrent(4, 64, 128)
OVER, OVER_ALL = recurrent(3, 16, U)  # over the 16 bands of a spectrogram
HEARD, HEARD_ALL = recurrent(3, 16 * 4, U)  # over 16 filters of 4 bands


def block(width: int, ratio: int) -> tuple[int, int]:
    """Weights, and parameters, of a block."""
    weights = 4 * width**2 + 2 * ratio * width**2
    return weights, weights + 4 * width + (ratio + 1) * width + 4 * width


BLOCK, BLOCK_ALL = block(64, 2)
CAUSAL, CAUSAL_ALL = block(64, 4)
KERNELS = 2 + 3 + 4 + 5
CASES = [
    Case("mlp", FEATURES, rows, (3,), 7 * 8 + 8 + 8 * 3 + 3, 7 * 8 + 8 * 3, {"hidden": [8]}),
    Case("mlp", SPEECH, spectrograms, (6,), 336 * 8 + 8 + 8 * 6 + 6, 336 * 8 + 8 * 6,
         {"hidden": [8]}),
    Case("char-cnn", TOKENS, tokens, (5,), 20 * E + KERNELS * E * 64 + 4 * 64 + 256 * 5 + 5,
         L * KERNELS * E * 64 + 256 * 5, {}),
    Case("gru", TOKENS, tokens, (5,), 20 * E + GRU_ALL + U * 5 + 5, L * GRU + U * 5, {}),
    Case("lstm", TOKENS, tokens, (5,), 20 * E + LSTM_ALL + U * 5 + 5, L * LSTM + U * 5, {}),
    Case("gru", TOKENS, tokens, (5,), 20 * E + 2 * GRU_ALL + 2 * BACK_ALL + 2 * U * 5 + 5,
         L * (2 * GRU + 2 * BACK) + 2 * U * 5, {"layers": 2, "bidirectional": True}),
    Case("gru", SPEECH, spectrograms, (6,), OVER_ALL + U * 6 + 6, 21 * OVER + U * 6, {}),
    Case("text-transformer", TOKENS, tokens, (5,),
         20 * 64 + L * 64 + 2 * BLOCK_ALL + 2 * 64 + 64 * 5 + 5,
         2 * (L * BLOCK + 2 * L * L * 64) + 64 * 5, {}),
    Case("causal-transformer", LANGUAGE, tokens, (9, 20),
         20 * 64 + L * 64 + 2 * CAUSAL_ALL + 2 * 64 + 64 * 20 + 20,
         2 * (L * CAUSAL + 2 * L * L * 64) + L * 64 * 20, {}),
    Case("lstm-lm", LANGUAGE, tokens, (9, 20), 20 * 64 + LM_ALL + 128 * 20 + 20,
         L * (LM + 128 * 20), {}),
    Case("matrix-factorization", PAIRS, pairs, (), 27 * 16 + 27 + 1, 0, {}, filters=False),
    Case("neumf", PAIRS, pairs, (), 27 * 16 + 27 * 32 + 64 * 32 + 32 + 32 * 16 + 16 + 32 + 1,
         64 * 32 + 32 * 16 + 32, {}),
    Case("ctc-gru", SPEECH, spectrograms, (11, 6),
         9 * 16 + 32 + 9 * 16 * 16 + 32 + 2 * HEARD_ALL + 2 * U * 6 + 6,
         8 * 11 * 9 * 16 + 4 * 11 * 9 * 16 * 16 + 11 * (2 * HEARD + 2 * U * 6), {},
         whole=("convolutions.3.weight",)),
]  # fmt: skip
NAMES = [f"{case.name}-{case.inputs.__name__}-{len(case.arguments)}" for case in CASES]
cases = pytest.mark.parametrize("case", CASES, ids=NAMES)


def built(case: Case, seed: int = 0) -> nn.Module:
    settings = Model(name=case.name, arguments=case.arguments)
    return create(settings, NetworkFacts(case.facts), seed).eval()


@cases
def test_shapes_sizes_and_cost_by_hand(case: Case) -> None:
    model, inputs = built(case), case.inputs()
    assert model(inputs).shape == (8, *case.outputs)
    assert sum(value.numel() for value in model.parameters()) == case.parameters
    assert macs(model, inputs[2:3], {}) == (case.macs, case.macs)
    head = model.get_classifier()
    assert head == () or head is model.head


@cases
def test_same_seed_same_network(case: Case) -> None:
    one, two, other = built(case, 1), built(case, 1), built(case, 2)
    pairs_of = zip(one.state_dict().items(), two.state_dict().values(), strict=True)
    assert all(torch.equal(value, same) for (_, value), same in pairs_of)
    changed = zip(one.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(value, drawn) for value, drawn in changed)


@pytest.mark.parametrize("case", [c for c in CASES if "vocabulary" in c.facts],
                         ids=[n for n, c in zip(NAMES, CASES, strict=True)
                              if "vocabulary" in c.facts])  # fmt: skip
def test_padding_changes_nothing(case: Case) -> None:
    model, given = built(case), tokens()
    whole = model(given)
    for row, length in ((0, 4), (1, 1)):
        short = model(given[row : row + 1, :length])
        found = whole[row : row + 1]
        found = found[:, :length] if found.ndim == 3 else found
        torch.testing.assert_close(found, short, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if c.name in ("causal-transformer", "lstm-lm")],
                         ids=["causal-transformer", "lstm-lm"])  # fmt: skip
def test_later_tokens_change_no_earlier_score(case: Case) -> None:
    model, given = built(case), tokens()[2:4]
    changed = given.clone()
    changed[:, 5:] = changed[:, 5:] % 19 + 1
    one, two = model(given), model(changed)
    torch.testing.assert_close(one[:, :5], two[:, :5], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(one[:, 5:], two[:, 5:])


@cases
def test_single_weights_go_and_the_rest_is_shrunk(case: Case) -> None:
    model, inputs = built(case), case.inputs()
    masks = prunebench.prune(model, "magnitude", 0.5)
    shrunk = shrink(model, masks, inputs[:1])
    assert verify(model, shrunk.model, inputs) <= TOLERANCE


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.filters],
    ids=[name for name, case in zip(NAMES, CASES, strict=True) if case.filters],
)
def test_filters_go_and_what_is_left_is_smaller(case: Case) -> None:
    model, inputs = built(case), case.inputs()
    tables = {"exclude": [n for n, m in model.named_modules() if isinstance(m, nn.Embedding)]}
    method = {"criterion": "l2-norm", "pattern": "filter", "allocation": "uniform"}
    found = find_groups(model, prunable_layers(model), inputs[:2])
    assert set(found.whole) - set(tables["exclude"]) == set(case.whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what stays whole
        masks = prunebench.prune(model, method, 0.4, example=inputs[:2], prunable=tables)
    shrunk = shrink(model, masks, inputs[:1])
    assert verify(model, shrunk.model, inputs) <= TOLERANCE
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    kept = sum(int(masks[name].sum()) if name in masks else n for name, n in sizes.items())
    left = sum(value.numel() for value in shrunk.model.parameters())
    assert left == kept < sum(sizes.values())
    assert not shrunk.notes


def test_what_has_no_filters_says_so() -> None:
    case = next(c for c in CASES if not c.filters)
    with pytest.raises(Refused, match="no channels that could be removed"):
        prunebench.prune(built(case), "l1-filter", 0.5, batches=[(pairs(), torch.zeros(8))])


@pytest.mark.parametrize("name", ["text-transformer", "causal-transformer"])
def test_blocks_and_heads_go(name: str) -> None:
    case = next(c for c in CASES if c.name == name)
    model, inputs = built(case), case.inputs()
    shrunk = shrink(
        model,
        prunebench.prune(
            model, {"criterion": "random", "pattern": "block"}, 0.5, example=inputs[:2],
            prunable={"exclude": ["embed"]},
        ),
        inputs[:1],
    )  # fmt: skip
    assert verify(model, shrunk.model, inputs) <= TOLERANCE
    assert [item.unit for item in shrunk.removed] == ["block"]
    groups = find_groups(model, prunable_layers(model), inputs[:2])
    assert {"blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight"} <= {
        group.name for group in groups.groups
    }


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if case.name == "gru" else pytest.mark.slow)
        for name, case in zip(NAMES, CASES, strict=True)
    ],
)
def test_the_exported_file_computes_the_same(case: Case) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, inputs = built(case), case.inputs()
    data = onnx_bytes(model, inputs[:2])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["answers"], {"inputs": inputs.numpy()})
    wanted = model(inputs).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_what_the_exporter_cannot_follow_is_refused_with_the_reason() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn = nn.Embedding(20, 4), nn.GRU(4, 6, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = (x != 0).sum(1).cpu()
            packed = nn.utils.rnn.pack_padded_sequence(
                self.embed(x), lengths, batch_first=True, enforce_sorted=False
            )
            return self.rnn(packed)[1][0]

    with pytest.raises(Refused, match=r"cannot export to onnx: .+"):
        onnx_bytes(Packed().eval(), tokens(2))


def test_a_file_for_one_number_of_inputs_is_refused() -> None:
    class Counted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1).reshape(len(x))  # a number, which the exporter writes down

    with pytest.raises(Refused, match="would take 2 inputs at a time and no other number"):
        onnx_bytes(Counted().eval(), rows(2))


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_layers_compute_what_one_packed_module_does(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    ours = RecurrentLayers(kind, 3, 4, 2, bidirectional=True, dropout=0.0)
    theirs = kind(3, 4, 2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for layer, directions in enumerate(ours.layers):
            for module, end in zip(directions, ("", "_reverse"), strict=True):
                for own in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    value = getattr(theirs, f"{own}_l{layer}{end}")
                    getattr(module, f"{own}_l0").copy_(value)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 2, 4])
    valid = torch.arange(6) < lengths[:, None]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(ours(x, valid) * valid[..., None], wanted)


def test_a_sequence_is_reversed_within_its_length() -> None:
    x = torch.arange(1.0, 9.0).view(2, 4, 1)
    valid = torch.tensor([[True, True, True, False], [True, False, False, False]])
    assert reversed_within(x, valid).flatten().tolist() == [3, 2, 1, 4, 5, 6, 7, 8]


def test_ratings_by_hand() -> None:
    """μ + b_u + b_i + p·q."""
    model = create(Model(name="matrix-factorization", arguments={"factors": 2}),
                   NetworkFacts(PAIRS), 0)  # fmt: skip
    with torch.no_grad():
        model.mean.fill_(3.0)
        model.user_biases[4] = 0.5
        model.item_biases[7] = -0.25
        model.users.weight[4] = torch.tensor([1.0, 2.0])
        model.items.weight[7] = torch.tensor([0.5, -1.0])
    assert model(torch.tensor([[4, 7]])).tolist() == [3.0 + 0.5 - 0.25 + 0.5 - 2.0]


@pytest.mark.parametrize(
    ("name", "facts", "missing"),
    [
        ("gru", FEATURES, "vocabulary"),
        ("char-cnn", SPEECH, "vocabulary"),
        ("neumf", TOKENS, "users"),
        ("ctc-gru", TOKENS, "in_chans"),
        ("seed-cnn", PAIRS, "in_chans"),
        ("mlp", TOKENS, "num_features"),
    ],
)
def test_inputs_of_another_form_are_refused(name: str, facts: dict[str, Any], missing: str) -> None:
    with pytest.raises(PrunebenchError, match=rf"models: {name} needs {missing}, which the inputs"):
        create(Model(name=name), NetworkFacts(facts), 0)


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(PrunebenchError, match="width 10 is no multiple of 4 heads"):
        create(Model(name="text-transformer", arguments={"width": 10}), NetworkFacts(TOKENS), 0)
    facts = SPEECH | {"image_size": (3, 21)}
    with pytest.raises(PrunebenchError, match="at least 4 bands, not 3"):
        create(Model(name="ctc-gru"), NetworkFacts(facts), 0)


def test_every_network_that_ships_is_tested() -> None:
    elsewhere = {"seed-cnn", "resnet20", "resnet56", "vgg16-cifar", "fcos"}
    assert set(builtin(Network)) == elsewhere | {case.name for case in CASES}
