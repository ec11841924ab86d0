"""Gold labels that are none, and models whose control flow vmap cannot follow."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.errors import ShapeError

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")
from torch import nn  # noqa: E402

from kinatlas.torch import accumulate_fisher, per_example_gradients  # noqa: E402

torch.set_num_threads(1)


def logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(batch["x"])


@pytest.mark.parametrize("label", [-100, -1, 3])
def test_a_gold_label_that_is_no_class_is_refused(label: int) -> None:
    batch = {"x": torch.ones(2, 4), "labels": torch.tensor([0, label])}
    with pytest.raises(ValueError, match=r"labels: classes run from .* the model has 3"):
        accumulate_fisher(nn.Linear(4, 3), [batch], logits=logits)


def test_labels_and_logits_of_another_shape_are_refused() -> None:
    model, x, gold = nn.Linear(4, 3), torch.ones(2, 4), torch.tensor([0, 1])
    for wrong in (gold.float(), gold[:, None], gold[:1]):
        with pytest.raises((ShapeError, ValueError), match="labels"):
            accumulate_fisher(model, [{"x": x, "labels": wrong}], logits=logits)
    with pytest.raises(ShapeError, match=r"logits have shape \(2,\)"):
        accumulate_fisher(
            model, [{"x": x, "labels": gold}], logits=lambda model, batch: model(batch["x"])[:, 0]
        )


class Branching(nn.Module):
    """Asks its numbers where to go, as masks of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.words(ids)
        return states.sum(dim=(1, 2)) if bool((ids > 0).all()) else states[:, 0].sum(dim=1)


def test_control_flow_that_vmap_cannot_follow_runs_example_by_example() -> None:
    torch.manual_seed(0)
    model, batch = Branching(), {"ids": torch.tensor([[1, 2], [0, 3], [4, 4]])}

    def loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return model(batch["ids"]).square()

    found, expected = (
        per_example_gradients(model, batch, loss, method=method)["words.weight"].numpy()
        for method in ("auto", "loop")
    )
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="use method='loop'"):
        per_example_gradients(model, batch, loss, method="vmap")
