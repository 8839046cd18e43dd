"""Movement pruning against a naive sum over training."""

from __future__ import annotations

import pytest
import torch

from prunebench.errors import PrunebenchError, Refused
from prunebench.pruning.criteria.movement import movement
from prunebench.pruning.view import View
from prunebench.training.loop import Hooks
from tests.pruning.in_memory import build_from, cells, curve_of, remember, same

MOVEMENT = {
    "criterion": "movement",
    "schedule": {"name": "gradual", "start": "trained", "every": 3},
}


@pytest.mark.parametrize("training", [{}, {"optimizer": "adamw"}, {"gradient_clip": 0.01}])
def test_scores_are_a_naive_sum(training: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = curve_of(MOVEMENT, **training)
    sums: dict[str, torch.Tensor] = {}
    seen, before = [], []
    run, score = curve.train, curve.score

    def spy(model, masks, *, hooks, **rest):
        def look(step, network):
            for name, weight in network.named_parameters():
                here = torch.tensor(
                    [-w * g for w, g in zip(weight.flatten().tolist(),
                                            weight.grad.flatten().tolist(), strict=True)]
                ).view(weight.shape)  # fmt: skip
                sums[name] = sums.get(name, torch.zeros(())) + here
            hooks.after_backward(step, network)

        return run(
            model, masks, hooks=Hooks(after_backward=look, after_step=hooks.after_step), **rest
        )

    def scored(view):
        found = score(view)
        if not sums:  # before it trains: can so many weights go?
            return found
        for name, value in found.scores.items():
            torch.testing.assert_close(value, sums[name], rtol=1e-4, atol=1e-6)
        before.append(view.within)
        seen.append({name: value.clone() for name, value in found.scores.items()})
        return found

    monkeypatch.setattr(curve, "train", spy)
    monkeypatch.setattr(curve, "score", scored)
    (cell,) = cells(curve, [0.9])
    # updates after 3, 6 and 9 of the 12 steps
    assert len(seen) == 3
    kept = sum(int(mask.sum()) for mask in cell.masks.values())
    assert kept == 228 - round(0.9 * 228)
    # of what was left at the last update, the highest scores stay
    scores = torch.cat([seen[-1][name].flatten() for name in cell.masks])
    left = torch.cat([before[-1][name].flatten() for name in cell.masks])
    mask = torch.cat([mask.flatten() for mask in cell.masks.values()])
    assert scores[mask].min() >= scores[left & ~mask].max()


def test_moving_away_from_zero_is_kept() -> None:
    """One weight grows by training, one shrinks: movement keeps the first, magnitude the other."""
    curve = curve_of(MOVEMENT)
    model = build_from(0)
    weights = dict(model.named_parameters())
    zeros = {n: torch.zeros_like(w) for n, w in weights.items() if n in curve.view(model).layers}
    zeros["first.weight"][0, 0] = 1.0  # −w·g > 0: descent took it away from zero
    zeros["first.weight"][0, 1] = -1.0
    scores = curve.score(curve.trained_view(model, None, zeros)).scores
    kept = curve.masks(
        curve.view(model), curve.score(curve.trained_view(model, None, zeros)), 1 - 1 / 228
    )
    assert scores["first.weight"][0, 0] == 1.0
    assert kept["first.weight"].nonzero().tolist() == [[0, 0]]


def test_pruned_weights_do_not_move_and_bits_agree() -> None:
    whole = cells(curve_of(MOVEMENT), [0.5, 0.9])
    (alone,) = cells(remember(curve_of(MOVEMENT), whole[:1]), [0.5, 0.9])
    assert same(alone.model, whole[1].model)
    assert alone.spent.epochs == 8
    for name, mask in alone.masks.items():
        assert not alone.model.get_parameter(name)[~mask].any()


@pytest.mark.parametrize("schedule", ["one-shot", "iterative", "at-initialization", "dynamic"])
def test_needs_a_schedule_that_scores_in_training(schedule: str) -> None:
    recovery = "re-initialization" if schedule == "at-initialization" else "none"
    with pytest.raises(PrunebenchError, match="added up while the network trains"):
        curve_of({"criterion": "movement", "schedule": schedule, "recovery": recovery})


def test_refuses_a_network_that_does_not_train() -> None:
    with pytest.raises(Refused, match="while the network trains"):
        movement(View(build_from(0)))
