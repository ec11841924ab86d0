"""Settings whose unknowns alternate settle at the optimum, also where alternation is slow."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.errors import MixtureError
from kinatlas.icl import Mixture, asymptotic_constant, optimum


@pytest.mark.parametrize("noise", [10.0, 100.0])
@pytest.mark.parametrize("n", [100, 10**5, 10**8])
def test_free_scales_settle_where_each_task_varies_in_a_direction_of_its_own(noise, n) -> None:
    spreads = [np.diag([1.0, 0.0]), np.diag([0.0, 1.0])]
    levels = (0.0, noise)
    mixture = Mixture([0.5, 0.5], np.zeros((2, 2)), spreads, noise_variance=list(levels))

    def loss(scale: float) -> float:
        # By symmetry W is diagonal; its best entries for scales (scale, 1) in closed form.
        scales = (scale, 1.0)
        total = 1.0
        for axis in range(2):
            pull = 0.5 * n * scales[axis]
            weight = sum(
                0.5 * c**2 * (n * (n + 1) * (axis == task) + n * (1 + level))
                for task, (c, level) in enumerate(zip(scales, levels, strict=True))
            )
            total -= pull**2 / weight
        return total

    found = optimum(mixture, n, "joint_prompt_head_scaled")
    grid = np.exp(np.linspace(-4, 4, 4001))
    best = min(map(loss, grid))
    # 1 less what a long context explains leaves 1e-16 / loss of the digits.
    assert found.loss_without_noise <= best * (1 + 1e-4) + 1e-15
    assert found.loss_without_noise == pytest.approx(best, rel=1e-4, abs=1e-15)
    assert found.n_solves < 1000
    with pytest.raises(MixtureError, match="every direction that is learnt"):
        asymptotic_constant(mixture, "joint_prompt_head_scaled")
