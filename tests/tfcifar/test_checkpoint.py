"""A continued run finds every variable as it was; a damaged state is told apart, and the one before it serves."""

import keras
import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.models import build_model
from tfcifar.recipe import Model
from tfcifar.training.checkpoint import read_header, restore_state, save_state, state_variables
from tfcifar.training.trainable import TrainableModel
from tfcifar.training.weight_average import WeightAverage

pytestmark = pytest.mark.filterwarnings("ignore:The structure of `inputs`")


def make_trainable(widths=(4,), momentum=0.9, train_seed=0) -> TrainableModel:
    """A compiled model with dropout, optimizer and averages; `train_seed` > 0 moves all of them."""
    keras.utils.set_random_seed(train_seed)
    model = build_model(Model("small_cnn", dropout=0.5, widths=widths), (8, 8, 3), 3, (0.5,) * 3, (0.25,) * 3)
    trainable = TrainableModel.wrap(model, None, WeightAverage(model.weights, 0.9), integer_labels=False)
    optimizer = keras.optimizers.SGD(0.1, momentum=momentum)
    trainable.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True), run_eagerly=True)
    optimizer.build(trainable.trainable_variables)
    if train_seed:
        train(trainable)
    return trainable


def train(trainable, steps=2):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("float32")
    for _ in range(steps):
        trainable.train_step((images, np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]))


def values(trainable) -> dict[str, list[np.ndarray]]:
    return {
        group: [np.asarray(variable) for variable in variables]
        for group, variables in state_variables(trainable).items()
    }


def assert_equal_states(found, expected):
    for group in ("model", "optimizer", "average"):
        assert len(found[group]) == len(expected[group]) > 0
        for a, b in zip(found[group], expected[group], strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_variable_comes_back(tmp_path):
    saved, fresh = make_trainable(train_seed=1), make_trainable()
    save_state(tmp_path, 1, state_variables(saved), {"history": []})
    restore_state(tmp_path, state_variables(fresh))
    assert_equal_states(values(fresh), values(saved))


def test_a_restored_model_draws_the_same_dropout_and_trains_to_the_same_weights(tmp_path):
    saved, fresh = make_trainable(train_seed=1), make_trainable()
    save_state(tmp_path, 1, state_variables(saved), {})
    restore_state(tmp_path, state_variables(fresh))
    for trainable in (saved, fresh):
        train(trainable)
    assert_equal_states(values(fresh), values(saved))


def test_the_state_of_the_dropout_generators_is_part_of_it():
    trainable = make_trainable()
    before = values(trainable)["model"]
    paths = [variable.path for variable in state_variables(trainable)["model"]]
    train(trainable, steps=1)
    seeds = [index for index, path in enumerate(paths) if "seed_generator_state" in path]
    assert seeds
    for index in seeds:
        assert not np.array_equal(before[index], values(trainable)["model"][index])


def test_groups_can_be_restored_one_by_one(tmp_path):
    """A new phase starts with a fresh optimizer."""
    saved, fresh = make_trainable(train_seed=1), make_trainable()
    save_state(tmp_path, 1, state_variables(saved), {})
    untouched = values(fresh)["optimizer"]
    restore_state(tmp_path, {"model": state_variables(fresh)["model"]})
    for a, b in zip(values(fresh)["model"], values(saved)["model"], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(values(fresh)["optimizer"], untouched, strict=True):
        np.testing.assert_array_equal(a, b)


VARIABLES = {"model": [keras.Variable([1.0, 2.0]), keras.Variable(3.0)]}


def test_more_than_ten_variables_keep_their_order(tmp_path):
    saved = {"model": [keras.Variable(float(index)) for index in range(120)]}
    fresh = {"model": [keras.Variable(-1.0) for _ in range(120)]}
    save_state(tmp_path, 1, saved, {})
    restore_state(tmp_path, fresh)
    assert [float(variable.value) for variable in fresh["model"]] == list(range(120))


def test_the_header_comes_back_exactly(tmp_path):
    header = {"history": [{"epoch": 1, "val_accuracy": 0.1 + 0.2}], "phase": "fine-tune top 30%", "seconds": []}
    save_state(tmp_path, 1, VARIABLES, header)
    assert read_header(tmp_path) == header


def test_without_a_state_there_is_no_header(tmp_path):
    assert read_header(tmp_path) is None
    assert read_header(tmp_path / "nowhere") is None


@pytest.mark.parametrize("last", [11, 10_000, 10_001, 10_002])
def test_the_two_newest_states_are_kept_and_the_newest_is_read(tmp_path, last):
    for epoch in range(last - 3, last + 1):
        save_state(tmp_path, epoch, VARIABLES, {"epoch": epoch})
    assert {path.name for path in tmp_path.iterdir()} == {f"state-{last - 1:04d}.npz", f"state-{last:04d}.npz"}
    assert read_header(tmp_path) == {"epoch": last}


def test_what_a_killed_save_left_behind_is_no_state(tmp_path):
    save_state(tmp_path, 1, VARIABLES, {"epoch": 1})
    (tmp_path / ".state-0002.123.tmp.npz").write_bytes(b"half")
    assert read_header(tmp_path) == {"epoch": 1}


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_a_weight(data: bytes) -> bytes:
    """One bit of the value 1.0, which is stored as it is."""
    place = data.index(np.array([1.0, 2.0], "float32").tobytes())
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def empty(data: bytes) -> bytes:
    return b""


def text(data: bytes) -> bytes:
    return b"not a checkpoint"


@pytest.mark.parametrize("damage", [truncate, flip_a_weight, empty, text])
def test_a_damaged_state_is_put_aside_and_the_one_before_it_serves(tmp_path, capsys, damage):
    for epoch in (1, 2):
        save_state(
            tmp_path, epoch, {"model": [keras.Variable([1.0, 2.0]), keras.Variable(float(epoch))]}, {"is": epoch}
        )
    newest = tmp_path / "state-0002.npz"
    newest.write_bytes(damage(newest.read_bytes()))
    assert read_header(tmp_path) == {"is": 1}
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "state-0002.npz: incomplete or altered" in said
    assert "Continuing from the one before it, state-0001.npz." in said
    fresh = {"model": [keras.Variable([0.0, 0.0]), keras.Variable(0.0)]}
    restore_state(tmp_path, fresh)
    assert float(fresh["model"][1].value) == 1
    assert capsys.readouterr().err == ""  # said once
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-0001.npz", "state-0002.damaged"]


def test_where_no_state_is_whole_that_is_an_error(tmp_path):
    for epoch in (1, 2):
        save_state(tmp_path, epoch, VARIABLES, {"epoch": epoch})
        (tmp_path / f"state-000{epoch}.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"state-0001.npz: incomplete .* No other is left .* another --run-dir"):
        read_header(tmp_path)


def test_the_state_of_another_model_is_refused(tmp_path):
    save_state(tmp_path, 1, state_variables(make_trainable()), {})
    with pytest.raises(InputError, match=r"the model variables of .*state-0001.npz do not fit the recipe's"):
        restore_state(tmp_path, state_variables(make_trainable(widths=(5,))))
    with pytest.raises(InputError, match="the model variables"):
        restore_state(tmp_path, state_variables(make_trainable(widths=(4, 4))))


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    save_state(tmp_path, 1, state_variables(make_trainable()), {})
    with pytest.raises(InputError, match="the optimizer variables"):
        restore_state(tmp_path, state_variables(make_trainable(momentum=0.0)))


def test_a_folder_without_a_state_is_said_to_have_none(tmp_path):
    assert read_header(tmp_path) is None
    with pytest.raises(InputError, match=f"checkpoint: expected one in {tmp_path}, found none"):
        restore_state(tmp_path, {})
