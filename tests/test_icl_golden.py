"""Closed forms against published and independently derived numbers, to 1e-6."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kinatlas.icl import SETTINGS, Mixture, optimum
from kinatlas.icl._reference import compact_losses, kronecker_losses

PAPER = ("plain", "finetune_prompt", "joint_prompt", "joint_prompt_head")
GEOMETRIC = np.diag(2.0 ** -np.arange(10))

# The paper's figure settings: means, covariance scales (or one matrix), noise variance, n, and the
# four losses. The zero_cov_12 rows are also the arrays printed by the paper's own notebook.
GOLDEN = [
    ((1.4, -0.6), (1, 1), 0.0, 1, (15.583555, 10.892365, 9.524101, 9.166667)),
    ((1.4, -0.6), (1, 1), 0.0, 10, (8.084260, 7.646663, 6.674225, 5.238095)),
    ((1.4, -0.6), (1, 1), 0.0, 50, (3.040800, 3.014602, 2.873177, 1.803279)),
    ((2.1, -0.9), (1, 1), 0.0, 10, (10.663328, 9.930336, 7.574293, 5.238095)),
    ((1.4, -0.6), (2, 2), 0.0, 10, (13.682913, 13.062778, 12.176871, 10.476190)),
    ((1.4, -0.6), (1, 2), 0.0, 1, (22.259814, 17.168776, 16.019187, 15.583333)),
    ((1.4, -0.6), (1, 2), 0.0, 10, (12.028781, 11.460621, 10.551565, 8.904762)),
    ((1.4, -0.6), (1, 2), 0.0, 20, (8.295773, 8.108097, 7.654434, 6.032258)),
    ((1.4, -0.6), (1, 2), 0.0, 50, (4.362118, 4.325882, 4.199581, 3.065574)),
    ((1.0, -1.0), (1, 1), 0.0, 1, (16.709957, 11.262111, 9.559659, 9.166667)),
    ((1.0, -1.0), (1, 1), 0.0, 10, (8.515214, 8.031838, 6.852872, 5.238095)),
    ((1.0, -1.0), (1, 1), 0.0, 50, (3.248891, 3.220422, 3.044688, 1.803279)),
    ((1.0, -1.0), (1, 2), 0.0, 10, (12.516626, 11.898831, 10.789683, 8.904762)),
    ((1.4, -0.6), (1, 1), 0.09, 10, (8.188959, 7.749174, 6.774196, 5.348416)),
    ((1.4, -0.6), GEOMETRIC, 0.0, 1, (7.621931, 3.638084, 1.892071, 1.630093)),
]
SHIFTED = [
    ((1.0, -1.0), (1, 1), 1, 9.524101),
    ((1.0, -1.0), (1, 1), 10, 6.674225),
    ((1.0, -1.0), (1, 1), 50, 2.873177),
    ((1.0, -1.0), (1, 2), 10, 10.551565),
]
# One head scale per task pays nothing here, so fine-tuned heads come close to joint ones.
FINETUNED_HEADS = dict(
    zip((1, 10, 20, 30, 40, 50), (16.0018, 9.3903, 6.2754, 4.7024, 3.7585, 3.1299), strict=True)
)
ANISOTROPIC = {
    2: (2.93061401, 2.50227805, 2.38724083, 2.18455184),
    5: (2.03257054, 1.86735761, 1.78655498, 1.54935751),
    20: (0.94215964, 0.92205504, 0.90519230, 0.75325957),
}
PER_TASK = {5: (2.67593667, 2.41387553, 2.20904387), 20: (1.58830617, 1.49978707, 1.37710734)}
SX = np.array([[2, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 0.5]])


def paper_mixture(means, scales, noise=0.0):
    covariances = (
        [scales] * 2 if isinstance(scales, np.ndarray) else [c * np.eye(10) for c in scales]
    )
    return Mixture([0.3, 0.7], np.outer(means, np.ones(10)), covariances, noise_variance=noise)


def anisotropic_mixture(inputs=SX, noise=0.25):
    covariances = [np.diag([1, 0.5, 0.25]), [[0.5, 0.1, 0], [0.1, 1, 0], [0, 0, 2]]]
    return Mixture(
        [1 / 3, 2 / 3],
        [[1, 0, -1], [-0.5, 0, 0.5]],
        covariances,
        input_covariance=inputs,
        noise_variance=noise,
    )


@pytest.mark.parametrize(("means", "scales", "noise", "n", "losses"), GOLDEN)
@pytest.mark.parametrize("solver", ["compact", "kronecker"])
def test_the_four_curves_of_the_paper_are_met(means, scales, noise, n, losses, solver) -> None:
    mixture = paper_mixture(means, scales, noise)
    for setting, wanted in zip(PAPER, losses, strict=True):
        found = optimum(mixture, n, setting, solver=solver)
        assert found.solver == solver
        assert found.loss == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("means", "scales", "n", "loss"), SHIFTED)
def test_a_value_shift_removes_the_mixture_mean(means, scales, n, loss) -> None:
    found = optimum(paper_mixture(means, scales), n, "joint_prompt_value_shift")
    assert found.loss == pytest.approx(loss, abs=1e-6)


def test_heads_added_after_plain_training_come_close_to_joint_heads() -> None:
    mixture = paper_mixture((1.4, -0.6), (1, 2))
    for n, loss in FINETUNED_HEADS.items():
        found = optimum(mixture, n, "finetune_prompt_head")
        assert found.loss == pytest.approx(loss, abs=6e-5)  # four printed decimals


@pytest.mark.parametrize("n", ANISOTROPIC)
def test_inputs_that_are_not_isotropic_are_met(n) -> None:
    for setting, wanted in zip(PAPER, ANISOTROPIC[n], strict=True):
        assert optimum(anisotropic_mixture(), n, setting).loss == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("n", PER_TASK)
def test_inputs_and_noise_of_each_task_are_met(n) -> None:
    mixture = anisotropic_mixture([SX, np.eye(3)], [0.25, 1.0])
    settings = ("plain", "joint_prompt", "joint_prompt_head")
    for setting, wanted in zip(settings, PER_TASK[n], strict=True):
        assert optimum(mixture, n, setting).loss == pytest.approx(wanted, abs=1e-6)


def test_free_head_scales_reach_the_bound_of_one_w_per_task() -> None:
    mixture = Mixture(
        [0.5, 0.5],
        np.zeros((2, 5)),
        [np.eye(5), 0.05 * np.eye(5)],
        noise_variance=[0.1, 1.0],
    )
    assert optimum(mixture, 8, "joint_prompt_head").loss == pytest.approx(1.7794, abs=6e-5)
    scaled = optimum(mixture, 8, "joint_prompt_head_scaled")
    alone = [
        optimum(Mixture([1.0], [[0.0] * 5], [s * np.eye(5)], noise_variance=v), 8, "plain").loss
        for s, v in ((1, 0.1), (0.05, 1.0))
    ]
    assert scaled.loss == pytest.approx(1.7272, abs=6e-5)
    assert scaled.loss == pytest.approx(np.mean(alone), rel=1e-12)


def test_the_scalar_special_case_is_met() -> None:
    d, n, s2 = 10, 7, 0.3
    m, c, pi = np.array([1.4, -0.6]), np.array([1.0, 2.0]), np.array([0.3, 0.7])
    rho, s = d * pi @ m**2, pi @ c
    tau = d * s + rho + s2

    def kept(level, total):
        return level - n * level**2 / ((n + 1) * level + total)

    joint = (d - 1) * kept(s, tau) + s - n * s**2 / ((n + 1) * s + rho + tau)
    wanted = {
        "plain": (d - 1) * kept(s, tau) + kept(s + rho, tau) + s2,
        "joint_prompt": joint + s2,
        "joint_prompt_head": d * kept(s, d * s + s2) + s2,
    }
    mixture = paper_mixture(m, tuple(c), s2)
    for setting, loss in wanted.items():
        assert optimum(mixture, n, setting).loss == pytest.approx(loss, rel=1e-13)


@pytest.mark.parametrize("n", [2, 4, 8, 20])
def test_tasks_without_means_or_noise_leave_the_known_fraction(n) -> None:
    mixture = Mixture([0.5, 0.5], np.zeros((2, 4)), [np.eye(4)] * 2)
    for setting in SETTINGS:
        found = optimum(mixture, n, setting).normalized_loss()
        assert found == pytest.approx((4 + 1) / (n + 4 + 1), rel=1e-13)


def test_the_textbook_expressions_agree_where_inputs_are_shared() -> None:
    for n in (1, 5, 50):
        mixture = anisotropic_mixture()
        for setting, loss in compact_losses(mixture, n).items():
            found = optimum(mixture, n, setting).loss_without_noise
            assert found == pytest.approx(loss, rel=1e-12), setting


def test_the_textbook_expressions_agree_where_inputs_differ() -> None:
    mixture = anisotropic_mixture([SX, np.eye(3)], [0.25, 1.0])
    for n in (1, 5, 50):
        for setting, loss in kronecker_losses(mixture, n).items():
            found = optimum(mixture, n, setting).loss_without_noise
            assert found == pytest.approx(loss, rel=1e-11), setting


def authors_losses(mixture, n):
    """The strings of the paper's notebook, which leave Sx out in two places."""
    sx, pi, mu = mixture.input_covariance[0], mixture.weights, mixture.means
    within = np.einsum("k,kij->ij", pi, mixture.covariances)
    between = np.einsum("k,ki,kj->ij", pi, mu, mu)
    tilde, bar, eye = sx @ (within + between), sx @ within, np.eye(mixture.dim)
    level = np.trace(tilde) + mixture.noise
    w = tilde @ np.linalg.inv((n + 1) * tilde + level * eye)
    plain = level - n * np.trace(w @ tilde)
    rest = n * w - eye
    joint = bar @ np.linalg.inv((n + 1) * bar + level * eye + between)
    return {
        "plain": plain,
        "finetune_prompt": plain - np.trace((tilde - bar) @ rest.T @ rest),
        "joint_prompt": np.trace(bar) + mixture.noise - n * np.trace(joint @ bar),
    }


def test_the_authors_expressions_hold_for_identity_inputs_only() -> None:
    isotropic = anisotropic_mixture(np.eye(3))
    for setting, loss in authors_losses(isotropic, 12).items():
        assert optimum(isotropic, 12, setting).loss == pytest.approx(loss, rel=1e-12)
    wrong = authors_losses(anisotropic_mixture(), 12)
    right = {name: optimum(anisotropic_mixture(), 12, name).loss for name in wrong}
    assert wrong["plain"] == pytest.approx(right["plain"], rel=1e-12)
    for setting in ("finetune_prompt", "joint_prompt"):
        assert abs(wrong[setting] / right[setting] - 1) > 1e-3


def test_the_table_of_the_documentation_is_true() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "icl.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| 1.")]
    settings = (*PAPER, "joint_prompt_value_shift")
    assert len(rows) == 8
    for means, scales, noise, n, *losses in rows:
        pair = [tuple(map(float, text.split(", "))) for text in (means, scales)]
        mixture = paper_mixture(*pair, float(noise))
        for setting, loss in zip(settings, losses, strict=True):
            found = optimum(mixture, int(n), setting).loss
            assert found == pytest.approx(float(loss), abs=1e-6), (setting, n)
