"""Pictures show the numbers they were given, on Axes of their own."""

from __future__ import annotations

import numpy as np
import pytest

from kinatlas.superposition import (
    SuperpositionRecord,
    analyse_superposition,
    best_layer,
    discriminant_plane,
)

pytest.importorskip("matplotlib")

from kinatlas import plotting

SHARES = np.repeat([[0.25, 0.75], [0.5, 0.5], [0.75, 0.25]], 8, axis=0)
RECORD = SuperpositionRecord(np.log(0.9 * SHARES), SHARES, ["copy", "add"])


def test_the_stack_ends_at_one_and_its_first_layer_is_the_task() -> None:
    ax = plotting.plot_shares(analyse_superposition(RECORD, n_bootstrap=0), "copy")
    assert ax.get_ylim() == (0.0, 1.0)
    tops = [layer.get_paths()[0].vertices[:, 1].max() for layer in ax.collections]
    assert tops == pytest.approx([0.675, 0.9, 1.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()][:3] == ["copy", "add", "other"]


def test_every_prompt_is_a_point_at_its_share() -> None:
    ax = plotting.plot_prompts(RECORD, "copy")
    points = np.concatenate([c.get_offsets()[:, 1] for c in ax.collections if len(c.get_offsets())])
    # Three conditions of eight prompts and their mean each.
    assert sorted(points.round(12)) == sorted([0.25] * 9 + [0.5] * 9 + [0.75] * 9)


def test_prompts_that_were_never_answered_do_not_break_the_picture() -> None:
    logs = np.array([[0.0, -np.inf], [-np.inf, -np.inf]])
    ax = plotting.plot_prompts(SuperpositionRecord(logs, [0.5, 0.5]), "task 0")
    ax.figure.canvas.draw()


def test_the_corners_of_the_simplex_are_the_tasks() -> None:
    corners = {name: row for name, row in zip("abc", np.eye(3), strict=True)}
    ax = plotting.plot_simplex(corners, ("x", "y", "z"), expected={"a": [0.5, 0.5, 0.0]})
    placed = {text.get_text(): text.xy for text in ax.texts}
    for name, corner in zip("abc", "xyz", strict=True):
        np.testing.assert_allclose(placed[name], placed[corner], atol=1e-15)


@pytest.mark.parametrize("n_tasks", [2, 3, 4])
def test_planes_of_any_number_of_tasks_are_drawn(n_tasks: int) -> None:
    rng = np.random.default_rng(0)
    pure = {f"task {k}": rng.normal(size=(10, 6)) + 3 * np.eye(6)[k] for k in range(n_tasks)}
    plane = discriminant_plane(pure, {"mixed": rng.normal(size=(7, 6))})
    ax = plotting.plot_plane(plane)
    ax.figure.canvas.draw()
    assert f"chance {1 / n_tasks:.2f}" in ax.get_title()


def test_the_sweep_draws_every_token_set_and_the_bare_query() -> None:
    choice = best_layer(np.full((4, 2, 30), 0.4), np.full(30, 0.3), token_sets=("arrow", "letters"))
    ax = plotting.plot_layer_sweep(choice)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["arrow", "letters", "no patch"]


def test_given_axes_are_used() -> None:
    first = plotting.plot_prompts(RECORD, "copy")
    assert plotting.plot_prompts(RECORD, "add", ax=first) is first
