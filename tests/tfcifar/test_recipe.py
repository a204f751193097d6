"""Recipes are valid as shipped, survive JSON, and refuse what cannot be trained."""

import json

import pytest

from pipelines.augment_config import Augment
from pipelines.errors import InputError
from tfcifar import recipes
from tfcifar.models import MODELS
from tfcifar.recipe import Data, Model, Optimizer, Recipe, Schedule, SmallImages, Transfer
from tfcifar.recipe_json import from_json, load_json
from tfcifar.runs import with_model


def make(**changes) -> Recipe:
    return Recipe(**{"name": "test", "model": Model("small_cnn"), "epochs": 10, "batch_size": 32} | changes)


def presets_of(name: str) -> list[str]:
    module = recipes.importlib.import_module(f"tfcifar.recipes.{name}")
    return [preset for preset in recipes.PRESETS if preset != "demo" or hasattr(module, "demo")]


@pytest.mark.parametrize("name", recipes.names())
def test_each_recipe_in_each_preset_survives_json_there_and_back(name):
    for preset in [None, *presets_of(name)]:
        recipe = recipes.load(name, preset)
        assert from_json(recipe.to_json()) == recipe
        assert recipe.name == (name if preset is None else f"{name}-{preset}")


@pytest.mark.parametrize("level", ["level_1", "level_2", "level_3"])
def test_the_rows_of_an_ablation_are_recipes_that_all_differ(level):
    rows = list(recipes.load_grid(level).values())
    assert len(rows) > 2
    assert all(row not in rows[:place] for place, row in enumerate(rows))


def test_tuples_come_back_from_json_as_tuples():
    recipe = make(model=Model("small_cnn", widths=(8, 16)), transfer=Transfer())
    back = from_json(recipe.to_json())
    assert back.model.widths == (8, 16)
    assert hash(back) == hash(recipe)


def test_a_json_file_serves_as_a_recipe_which_has_no_presets(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(make().to_json())
    assert recipes.load(str(path)) == make()
    with pytest.raises(InputError, match=f"--preset: expected none with {path}, .*received gpu"):
        recipes.load(str(path), "gpu")


@pytest.mark.parametrize("augment", [{"mixup_alpha": 0.2}, {"cutmix_alpha": 1.0}, {"label_smoothing": 0.1}])
def test_integer_labels_are_refused_with_what_makes_labels_soft(augment):
    with pytest.raises(InputError, match=f"labels: expected one_hot with augment.{next(iter(augment))}"):
        make(labels="integer", augment=Augment(**augment))


def test_integer_labels_are_accepted_with_augmentation_of_pixels_alone():
    assert make(labels="integer", augment=Augment(flip="random", cutout_size=8)).labels == "integer"


@pytest.mark.parametrize(
    ("folds", "fold", "field"), [(1, 0, "folds"), (-2, 0, "folds"), (0, 1, "fold"), (3, 3, "fold")]
)
def test_folds_that_are_none_are_refused(folds, fold, field):
    with pytest.raises(InputError, match=rf"data\.{field}: expected"):
        Data(folds=folds, fold=fold)


def test_stages_must_fill_the_epochs():
    stages = Schedule("stages", stage_learning_rates=(3e-4, 1e-4), stage_epochs=(6, 3))
    with pytest.raises(InputError, match=r"schedule.stage_epochs: expected values that add up to epochs \(10\)"):
        make(schedule=stages)
    assert make(schedule=stages, epochs=9).epochs == 9


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"name": "stages"}, "schedule.stage_epochs"),
        ({"name": "stages", "stage_learning_rates": (0.1,), "stage_epochs": (1, 2)}, "as many values"),
        ({"name": "cosine", "stage_learning_rates": (0.1,), "stage_epochs": (10,)}, "none for the others"),
        ({"name": "stages", "stage_learning_rates": (0.1,), "stage_epochs": (9,), "warmup_epochs": 1}, "warmup_epochs"),
        ({"name": "cosine", "warmup_epochs": -1}, "at least 0"),
        ({"name": "cosin"}, "Did you mean cosine?"),
    ],
)
def test_inconsistent_schedules_are_refused(schedule, message):
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        Schedule(**schedule)


@pytest.mark.parametrize("warmup_epochs", [10, 11.5])
def test_warm_up_must_end_before_the_training_does(warmup_epochs):
    with pytest.raises(InputError, match=r"schedule.warmup_epochs: expected fewer than epochs \(10\)"):
        make(schedule=Schedule("cosine", warmup_epochs=warmup_epochs))


def test_what_only_a_backbone_has_is_refused_without_one():
    with pytest.raises(InputError, match=r"model.weights: expected none for small_cnn, received 'imagenet'"):
        Model("small_cnn", weights="imagenet")
    with pytest.raises(InputError, match=r"model.image_size"):
        Model("small_cnn", image_size=96)
    with pytest.raises(InputError, match="transfer: expected its defaults for small_cnn"):
        make(transfer=Transfer(head_epochs=1))
    with pytest.raises(InputError, match=r"model.widths"):
        Model("resnet50", widths=(64,))


def test_an_unknown_model_is_answered_with_the_nearest_and_all_names():
    with pytest.raises(InputError) as error:
        Model("mobilenet_v3")
    assert "no such name: mobilenet_v3. Did you mean mobilenet_v2?" in str(error.value)
    assert "residual_cnn" in str(error.value)


@pytest.mark.parametrize("unfreeze", [(), (1.0, 0.5), (0.5, 0.5), (0.5, 1.2), (-0.1, 1.0)])
def test_unfreezing_goes_upwards_in_shares(unfreeze):
    with pytest.raises(InputError, match=r"transfer.unfreeze: expected rising shares from 0 to 1"):
        Transfer(unfreeze=unfreeze)


def test_unfreezing_steps_leave_an_epoch_for_the_last():
    steps = Transfer(unfreeze=(0.2, 0.5, 1.0), unfreeze_epochs=2)
    with pytest.raises(InputError, match="leave the last at least one of 4 epochs"):
        make(model=Model("mobilenet_v2"), transfer=steps, epochs=4)
    assert make(model=Model("mobilenet_v2"), transfer=steps, epochs=5)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Optimizer, {"name": "lion"}),
        (Optimizer, {"bias_ratio": 0.0}),
        (Optimizer, {"dense_ratio": float("nan")}),
        (SmallImages, {"epochs": -1}),
        (SmallImages, {"image_size": 15}),
        (Optimizer, {"learning_rate": 0.0}),
        (Optimizer, {"learning_rate": float("nan")}),
        (Optimizer, {"momentum": 1.0}),
        (Optimizer, {"weight_decay": -1e-4}),
        (Optimizer, {"clip_norm": 0.0}),
        (Optimizer, {"ema_decay": 1.0}),
        (Data, {"validation_fraction": 0.0}),
        (Data, {"validation_fraction": 1.0}),
        (Model, {"name": "small_cnn", "dropout": 1.0}),
        (Transfer, {"head_learning_rate": 0.0}),
        (Transfer, {"head_learning_rate": float("nan")}),
        (Schedule, {"name": "stages", "stage_epochs": (1, 1), "stage_learning_rates": (0.1, -0.1)}),
    ],
)
def test_numbers_out_of_range_are_refused_by_their_full_name(kind, values):
    field = list(values)[-1]
    group = {SmallImages: "small_images"}.get(kind, kind.__name__.lower())
    with pytest.raises(InputError, match=rf"^{group}\.{field}: "):
        kind(**values)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": 0}, {"seed": -1}, {"mixed_precision": "bf16"}])
def test_run_settings_out_of_range_are_refused(changes):
    with pytest.raises(InputError, match=f"^{next(iter(changes))}: "):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"small_images": SmallImages(10)}, r"small_images.epochs: expected fewer than epochs \(10\)"),
        (
            {"model": Model("resnet50", image_size=128), "small_images": SmallImages(1, 80)},
            "small_images.image_size: expected 96, 64, 32 for resnet50 at 128 pixels, received 80",
        ),
        (
            {"model": Model("resnet50"), "small_images": SmallImages(1, 96), "transfer": Transfer(unfreeze=(0.5, 1.0))},
            "transfer.unfreeze: expected .* with small_images",
        ),
        (
            {"model": Model("resnet50", weights="imagenet"), "optimizer": Optimizer("muon")},
            "optimizer.name: expected sgd, adam or adamw",
        ),
        (
            {"data": Data(train_on_validation=True), "early_stopping_patience": 2},
            "early_stopping_patience: expected none",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


@pytest.mark.parametrize("patience", [0, -1])
def test_a_patience_of_no_epochs_is_refused(patience):
    with pytest.raises(InputError, match="early_stopping_patience"):
        make(early_stopping_patience=patience)


def test_json_with_an_unknown_field_is_refused_with_the_nearest():
    values = json.loads(make().to_json())
    values["optimizer"]["learning_rte"] = values["optimizer"].pop("learning_rate")
    with pytest.raises(InputError, match=r"recipe.optimizer: no such name: learning_rte. Did you mean learning_rate\?"):
        from_json(json.dumps(values))


def test_json_without_a_needed_field_is_refused():
    values = json.loads(make().to_json())
    del values["epochs"]
    with pytest.raises(InputError, match="epochs"):
        from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", '"smoke"', '{"model": "small_cnn"}', "[" * 200_000])
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(InputError, match="recipe"):
        from_json(text)


def test_a_missing_recipe_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.json"):
        load_json(tmp_path / "nowhere.json")


def test_a_demo_of_what_has_not_been_made_small_is_refused():
    with pytest.raises(InputError, match=r"--preset: fast_96 has cpu and gpu; those with a demo are level_1, level_2"):
        recipes.load("fast_96", "demo")


@pytest.mark.parametrize("level", recipes.levels())
@pytest.mark.parametrize("preset", recipes.PRESETS)
def test_every_level_has_every_preset(level, preset):
    assert recipes.load(f"level_{level}", preset).name == f"level_{level}-{preset}"


def test_an_unknown_recipe_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"recipe: no such name: smok. Did you mean smoke\?"):
        recipes.load("smok")


@pytest.mark.parametrize(("model", "ratio"), [("fast_cnn", None), ("resnet8", 0.02)])
def test_rates_that_are_made_for_one_head_are_for_models_of_its_kind_only(model, ratio):
    assert with_model(recipes.load("level_3", "cpu"), model).optimizer.adam_ratio == ratio


@pytest.mark.parametrize("model", [name for name, entry in MODELS.items() if entry.pretrained])
def test_a_level_of_a_backbone_keeps_its_image_sizes_with_another_backbone(model):
    level_2 = recipes.load("level_2", "cpu")
    other = with_model(level_2, model)
    assert (other.model.name, other.model.image_size) == (model, level_2.model.image_size)
    assert other.small_images == level_2.small_images
