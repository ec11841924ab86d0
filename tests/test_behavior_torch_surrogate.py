"""Surrogates trained by gradients: every coordinate is trained, seeded, resumed, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kinatlas.errors import FormatError, NonFiniteError, ShapeError, SpaceError, UnknownNameError

torch = pytest.importorskip("torch", reason="torch is not installed: make test-torch installs it")
transformers = pytest.importorskip("transformers")

import kinatlas as ka  # noqa: E402
from kinatlas.behavior import Responses  # noqa: E402
from kinatlas.torch import TrainedSpace  # noqa: E402
from kinatlas.torch.prefixes import pooled_states, start_of  # noqa: E402

torch.set_num_threads(1)
N_WORDS, N_TOKENS = 40, 3
SIZES = {"vocab_size": N_WORDS, "num_attention_heads": 2, "max_position_embeddings": 64}


def bert():
    return transformers.BertModel(transformers.BertConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, **SIZES))  # fmt: skip


def llama():
    return transformers.LlamaModel(transformers.LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_key_value_heads=1,
        **SIZES))  # fmt: skip


def t5():
    return transformers.T5Model(transformers.T5Config(
        vocab_size=N_WORDS, d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0))  # fmt: skip


MODELS = {"encoder": bert, "decoder": llama, "both": t5}


def encode(texts):
    """Words by number, padded on the right."""
    rows = [[int(word[1:]) for word in text.split()] for text in texts]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def texts(n: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(f"w{one}" for one in draw.integers(1, N_WORDS, draw.integers(3, 9)))
            for _ in range(n)]  # fmt: skip


def model_of(make, seed: int = 0):
    torch.manual_seed(seed)
    return make().eval()


def space_of(make=bert, **options) -> TrainedSpace:
    own = {"n_tokens": N_TOKENS, "n_epochs": 2, "batch_size": 8, "name": "tiny"} | options
    return TrainedSpace(model_of(make), encode, **own)


def answers(n: int = 24, **boxes) -> Responses:
    bank = texts(n)
    first = np.array([np.mean([int(w[1:]) % 2 for w in text.split()]) for text in bank])
    second = np.array([np.mean([int(w[1:]) < 20 for w in text.split()]) for text in bank])
    shares = {"odd": first, "low": second, "odd too": first} | boxes
    return Responses.from_arrays(
        {name: np.stack([1 - p, p], axis=1) for name, p in shares.items()},
        labels=["no", "yes"], texts=bank,
    )  # fmt: skip


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("learner", ["prefix", "prompt"])
def test_every_embedded_coordinate_gets_a_gradient_and_moves(make, learner: str) -> None:
    space = space_of(make, learner=learner, reduce="none", dropout=0.0)
    tokens = space.embed(answers().select(["odd"]))["odd"].tokens
    layers, heads = {bert: (2, 2), llama: (2, 1), t5: (2, 2)}[make]
    width = 16 if learner == "prompt" else layers * 2 * heads * 8
    assert tokens.shape == (N_TOKENS, width)
    # The released code leaves half of a T5 prefix where it was; here nothing stays.
    assert (tokens != 0).all()


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("learner", ["prefix", "prompt"])
def test_padding_changes_no_state(make, learner: str) -> None:
    model, front = model_of(make), start_of(model_of(make), learner, N_TOKENS, 0)
    together = encode(["w1 w2 w3", "w4 w5 w6 w7 w8 w9"])
    with torch.no_grad():
        padded = pooled_states(model, together, front, learner)[0]
        alone = pooled_states(model, encode(["w1 w2 w3"]), front, learner)[0]
        other = pooled_states(model, encode(["w1 w2 w3"]), 2 * front, learner)[0]
    # float32 sums of other shapes agree to a few units in the last place.
    assert torch.allclose(padded, alone, atol=1e-5)
    assert not torch.allclose(alone, other, atol=1e-4), "the front does nothing"


@pytest.mark.parametrize("learner", ["prefix", "prompt", "fisher"])
def test_the_same_answers_give_the_same_bits_and_leave_the_model_alone(learner: str) -> None:
    space = space_of(learner=learner)
    space.model.train()
    before = {name: value.clone() for name, value in space.model.named_parameters()}
    first, again = (space.embed(answers()) for _ in range(2))
    assert first["odd"].tokens.tobytes() == again["odd too"].tokens.tobytes()
    assert first["odd"].tokens.tobytes() != first["low"].tokens.tobytes()
    assert space.model.training
    for name, value in space.model.named_parameters():
        assert torch.equal(value, before[name])
        assert value.requires_grad


def test_the_space_is_named_by_weights_and_every_setting() -> None:
    space = space_of()
    changed = {
        "learner": "prompt", "n_tokens": 4, "reduce": "none", "n_epochs": 3, "batch_size": 9,
        "learning_rate": 0.02, "weight_decay": 0.0, "warm_up": 0.1, "largest_norm": 2.0,
        "dropout": 0.0, "seeds": (1,), "name": "other", "model": model_of(bert, 1),
    }  # fmt: skip
    ids = {replace(space, **{name: value}).id for name, value in changed.items()}
    assert len(ids | {space.id}) == len(changed) + 1
    assert replace(space).id == space.id
    first, second = space.embed(answers()), replace(space, seeds=(1,)).embed(answers())
    with pytest.raises(SpaceError):
        ka.similarity_matrix(first, second, kernel="flatten")


def test_reductions_are_means_of_the_whole_prefix() -> None:
    options = {"make": t5, "dropout": 0.0}
    whole, layers, positions = (
        space_of(reduce=own, **options).embed(answers().select(["low"]))["low"].tokens
        for own in ("none", "layers", "positions")
    )
    # Tokens of "none" hold layer after layer: [positions, layers, 2 * heads * width].
    assert np.allclose(whole.reshape(N_TOKENS, 2, -1).mean(axis=1), layers, atol=1e-12)
    assert np.allclose(whole.mean(axis=0), positions[0], atol=1e-12)


def cosine(atlas: ka.Atlas) -> float:
    first, second = (own.tokens.reshape(-1) for own in (atlas["odd"], atlas["low"]))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_several_seeds_average_their_cosines() -> None:
    found = answers().select(["odd", "low"])
    single = [cosine(space_of(seeds=(seed,)).embed(found)) for seed in (0, 1, 2)]
    together = space_of(seeds=(0, 1, 2)).embed(found)
    assert together["odd"].tokens.shape[0] == 3 * N_TOKENS
    assert cosine(together) == pytest.approx(np.mean(single), abs=1e-12)


def test_a_killed_run_goes_on_after_its_last_finished_box(tmp_path) -> None:
    space, found = space_of(seeds=(0, 1)), answers()
    whole = space.embed(found)
    space.embed(found.select(["odd"]), checkpoint=tmp_path / "runs")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len(kept) == 2
    resumed = space.embed(found, checkpoint=tmp_path / "runs")
    for name in whole.names:
        assert whole[name].tokens.tobytes() == resumed[name].tokens.tobytes()
    # Equal answers are one run, whatever the box is called.
    assert len(list((tmp_path / "runs").iterdir())) == 4
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    next(iter(kept)).write_bytes(b"half")
    with pytest.raises(FormatError, match="damaged"):
        space.embed(found, checkpoint=tmp_path / "runs")


def test_a_data_set_is_fitted_as_a_model_that_is_certain() -> None:
    space, bank = space_of(), texts(24)
    gold = ["yes" if int(text.split()[0][1:]) % 2 else "no" for text in bank]
    sure = Responses.from_arrays(
        {"sure": np.eye(2)[[int(one == "yes") for one in gold]]}, labels=["no", "yes"], texts=bank
    )
    task = space.embed_labels(bank, gold, name="data")
    assert task.tokens.tobytes() == space.embed(sure)["sure"].tokens.tobytes()
    assert task.space == space.id


def test_the_fisher_diagonal_is_the_mean_squared_gradient_by_hand() -> None:
    from kinatlas.torch.learners import Settings, fisher_diagonal

    model, bank = model_of(bert), texts(6)
    names = tuple(n for n, _ in model.named_parameters() if n.startswith("encoder.layer.1."))
    # A rate of 0 leaves the copy where it was, so that the gradients are those of the model.
    settings = Settings("fisher", 1, 1, 4, 0.0, 0.0, 0.05, 1.0, 0.0, names)
    targets = torch.linspace(0, 1, 6)[:, None]
    data = {**encode(bank), "targets": torch.cat([1 - targets, targets], 1)}
    found = fisher_diagonal(model, data, settings, True, 0)
    from kinatlas.torch.learners import _Head

    head, total = _Head(16, 2, 0), 0.0
    for at in range(6):
        model.zero_grad()
        one = {name: value[at : at + 1] for name, value in data.items()}
        logits = head(pooled_states(model, one, None, "fisher"))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, one["targets"]).backward()
        own = [dict(model.named_parameters())[name].grad.reshape(-1) for name in sorted(names)]
        total = total + torch.cat(own).double() ** 2 / 6
    # The accumulator orders parameters by its own rule; sorted numbers do not depend on it.
    assert np.allclose(np.sort(found), np.sort(total.numpy()), rtol=1e-4, atol=1e-12)


def test_numbers_are_fitted_whatever_their_unit() -> None:
    bank = texts(16)
    lengths = np.array([float(len(text)) for text in bank])[:, None]
    one, other = (
        Responses.from_arrays({"a": own}, labels=["n"], texts=bank, kind="numbers")
        for own in (lengths, 1000 * lengths - 5)
    )
    space = space_of()
    assert np.allclose(space.embed(one)["a"].tokens, space.embed(other)["a"].tokens, atol=1e-5)


def test_bad_settings_and_models_are_refused() -> None:
    for options, error in (
        ({"learner": "lora"}, UnknownNameError),
        ({"reduce": "heads"}, UnknownNameError),
        ({"n_tokens": 0}, ValueError),
        ({"dropout": 1.0}, ValueError),
        ({"seeds": ()}, ValueError),
        ({"seeds": (1, 1)}, ValueError),
    ):
        with pytest.raises(error):
            space_of(**options)
    with pytest.raises(NonFiniteError, match="learning_rate"):
        space_of(learning_rate=1e30).embed(answers())
    with pytest.raises(ShapeError, match="kinds"):
        space_of().embed_labels(["w1", "w2"], ["yes", "yes"], name="one kind")
    config = transformers.BertConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, **SIZES
    )
    with pytest.raises(FormatError, match="last_hidden_state"):
        TrainedSpace(transformers.BertForMaskedLM(config), encode, "x").embed(answers())


def test_a_prefix_that_cannot_be_trained_is_refused() -> None:
    class Deaf(torch.nn.Module):
        """Takes a prefix and looks at none of its values."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model_of(bert)
            self.config = self.inner.config

        def get_input_embeddings(self):
            return self.inner.get_input_embeddings()

        def forward(self, past_key_values, attention_mask, **given):
            own = attention_mask[:, N_TOKENS:]
            found = self.inner(attention_mask=own, **given)
            idle = sum(layer.keys.sum() for layer in past_key_values.layers)
            found.last_hidden_state = found.last_hidden_state + idle
            return found

    with pytest.raises(SpaceError, match="no gradient"):
        TrainedSpace(Deaf(), encode, "deaf", n_tokens=N_TOKENS).embed(answers())
