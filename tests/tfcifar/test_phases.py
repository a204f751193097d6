"""Which part of a model trains in which epochs."""

from tfcifar.recipe import Model, Recipe, SmallImages, Transfer
from tfcifar.training.phases import Phase, phases_of


def phases(model: str, epochs: int, **transfer) -> list[Phase]:
    return phases_of(Recipe("test", Model(model), epochs=epochs, batch_size=32, transfer=Transfer(**transfer)))


def test_a_model_without_backbone_trains_whole_in_one_phase():
    assert phases("small_cnn", epochs=7) == [Phase("train", 0, 7, 1.0)]


def test_first_epochs_on_small_images_are_a_phase_of_their_own():
    recipe = Recipe("test", Model("fast_cnn"), epochs=7, batch_size=32, small_images=SmallImages(3, image_size=24))
    assert phases_of(recipe) == [Phase("small images", 0, 3, 1.0, 24), Phase("train", 3, 7, 1.0, None)]


def test_a_transfer_model_has_its_head_epochs_on_small_images_too():
    recipe = Recipe(
        "test",
        Model("mobilenet_v2", image_size=160),
        epochs=5,
        batch_size=32,
        transfer=Transfer(head_epochs=1),
        small_images=SmallImages(3, image_size=96),
    )
    assert phases_of(recipe) == [
        Phase("head", 0, 1, 0.0, 96),
        Phase("small images", 1, 4, 1.0, 96),
        Phase("fine-tune", 4, 6, 1.0),
    ]


def test_the_head_trains_alone_before_the_epochs_of_the_main_phase():
    assert phases("mobilenet_v2", epochs=5, head_epochs=2) == [Phase("head", 0, 2, 0.0), Phase("fine-tune", 2, 7, 1.0)]


def test_without_head_epochs_fine_tuning_starts_at_once():
    assert phases("resnet50", epochs=5) == [Phase("fine-tune", 0, 5, 1.0)]


def test_each_unfreezing_step_takes_its_epochs_and_the_last_what_remains():
    assert phases("resnet50", epochs=10, head_epochs=1, unfreeze=(0.25, 0.5, 1.0), unfreeze_epochs=2) == [
        Phase("head", 0, 1, 0.0),
        Phase("fine-tune top 25%", 1, 3, 0.25),
        Phase("fine-tune top 50%", 3, 5, 0.5),
        Phase("fine-tune", 5, 11, 1.0),
    ]


def test_a_backbone_may_stay_partly_frozen_to_the_end():
    assert phases("resnet50", epochs=4, unfreeze=(0.5,)) == [Phase("fine-tune top 50%", 0, 4, 0.5)]


def test_phases_follow_each_other_without_gap_and_have_names_of_their_own():
    found = phases("resnet50", epochs=6, head_epochs=3, unfreeze=(0.0, 0.1, 0.9, 1.0))
    assert [phase.first_epoch for phase in found[1:]] == [phase.last_epoch for phase in found[:-1]]
    assert len({phase.name for phase in found}) == len(found)
    assert found[-1].last_epoch == 9
