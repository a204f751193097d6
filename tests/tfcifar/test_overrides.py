"""`--set a.b=c`: read by the field's type; an error says what to write instead."""

import dataclasses

import pytest

from pipelines.errors import InputError
from tfcifar.overrides import override
from tfcifar.recipe import Model, Optimizer, Recipe, Schedule

RECIPE = Recipe(name="test", model=Model("small_cnn"), epochs=10, batch_size=32)


def value_after(assignment: str):
    changed = override(RECIPE, [assignment])
    for key in assignment.partition("=")[0].split("."):
        changed = getattr(changed, key)
    return changed


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("epochs=3", 3),
        ("optimizer.learning_rate=0.05", 0.05),
        ("optimizer.learning_rate=5e-2", 0.05),
        ("optimizer.learning_rate=1", 1.0),
        ("deterministic=true", True),
        ("deterministic=False", False),
        ("optimizer.clip_norm=5", 5.0),
        ("optimizer.clip_norm=none", None),
        ("early_stopping_patience=2", 2),
        ("model.widths=64,128,256", (64, 128, 256)),
        ("model.widths=64", (64,)),
        ("model.widths=", ()),
        ("data.dataset=folder/with=sign", "folder/with=sign"),
        ("augment.flip=random", "random"),
        ("augment.rotation_degrees=15", 15.0),
    ],
)
def test_values_are_read_by_the_type_of_their_field(assignment, value):
    received = value_after(assignment)
    assert received == value
    assert type(received) is type(value)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("epochs=2.5", "a whole number"),
        ("epochs=many", "a whole number"),
        ("epochs=none", "a whole number"),
        ("optimizer.learning_rate=fast", "a number"),
        ("optimizer.clip_norm=off", "a number or none"),
        ("deterministic=1", "true or false"),
        ("model.widths=64,big", "a comma-separated list, each item a whole number"),
    ],
)
def test_values_of_another_type_are_refused_with_the_expected_one(assignment, expected):
    text = assignment.partition("=")[2]
    with pytest.raises(InputError, match=f"--set {assignment}: expected {expected}, received '{text}'"):
        override(RECIPE, [assignment])


def test_spaces_around_field_and_value_do_not_count():
    assert override(RECIPE, [" model.dropout = 0.2 "]).model.dropout == 0.2


def test_a_misspelt_field_is_answered_with_the_nearest_and_all_fields():
    with pytest.raises(InputError) as error:
        override(RECIPE, ["optimizer.learning_rte=0.1"])
    assert "no such field. Did you mean optimizer.learning_rate?" in str(error.value)
    fields = [field.name for field in dataclasses.fields(Optimizer)]
    assert f"Fields of optimizer: {', '.join(fields)}." in str(error.value)


def test_a_misspelt_group_keeps_the_rest_of_the_path():
    with pytest.raises(InputError, match=r"Did you mean optimizer.learning_rate\?"):
        override(RECIPE, ["optimiser.learning_rate=0.1"])


def test_a_group_is_no_value():
    with pytest.raises(InputError, match="optimizer is a group; set one of its fields: name, learning_rate"):
        override(RECIPE, ["optimizer=sgd"])


def test_a_value_has_no_fields():
    with pytest.raises(InputError, match="epochs is a value and has no field first"):
        override(RECIPE, ["epochs.first=1"])


def test_an_assignment_without_equals_sign_is_refused():
    with pytest.raises(InputError, match="--set epochs: expected FIELD=VALUE"):
        override(RECIPE, ["epochs"])


def test_assignments_apply_in_order_and_leave_the_given_recipe_as_it_was():
    assert override(RECIPE, ["epochs=3", "epochs=4"]).epochs == 4
    assert RECIPE.epochs == 10


def test_a_value_that_the_recipe_refuses_is_refused():
    with pytest.raises(InputError, match=r"optimizer.learning_rate: expected a finite number above 0"):
        override(RECIPE, ["optimizer.learning_rate=-1"])


def test_fields_that_only_fit_together_can_be_set_together():
    stages = Schedule("stages", stage_learning_rates=(3e-4, 1e-4, 5e-5), stage_epochs=(5, 3, 2))
    recipe = RECIPE.replace(schedule=stages)
    assert override(recipe, ["epochs=3", "schedule.stage_epochs=1,1,1"]).epochs == 3
