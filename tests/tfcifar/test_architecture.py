"""Parts of a model, against published receptive fields and what is counted elsewhere."""

import keras
import pytest
from keras import layers

from tests.integration.commands import run
from tfcifar.models import MODELS, build_model
from tfcifar.models.architecture import parts_of
from tfcifar.models.complexity import count_macs
from tfcifar.recipe import Model


def build(name: str, size: int = 32) -> keras.Model:
    config = Model(name, image_size=size if MODELS[name].pretrained else None)
    return build_model(config, (size, size, 3), 10, (0.5,) * 3, (0.25,) * 3)


# Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks" (doi:10.23915/distill.00021).
@pytest.mark.parametrize(("name", "field"), [("mobilenet", 315), ("mobilenet_v2", 491), ("resnet50", 483)])
def test_backbones_have_the_published_receptive_field(name, field):
    assert max(part.receptive_field or 0 for part in parts_of(build(name, 224))) == field


def test_a_dilated_kernel_and_a_stride_widen_what_follows():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, dilation_rate=2, name="a")(inputs)  # 5
    x = layers.MaxPooling2D(2, name="b")(x)  # 6, in steps of 2
    x = layers.Conv2D(4, 3, name="c")(x)  # 6 + 2 * 2
    fields = {part.name: part.receptive_field for part in parts_of(keras.Model(inputs, x))}
    assert fields == {"images": 1, "a": 5, "b": 6, "c": 10}


@pytest.mark.parametrize("name", ["fast_cnn_deep", "attention_cnn", "mobilenet_v2"])
def test_parts_add_up_to_the_model(name):
    model = build(name)
    parts = parts_of(model)
    assert sum(part.parameters for part in parts) == model.count_params()
    assert sum(part.macs for part in parts) == count_macs(model)
    names = [part.name for part in parts]
    for index, part in enumerate(parts[1:], start=1):
        assert part.inputs
        assert all(names.index(source) < index for source in part.inputs)
    assert parts[-1].shape == (10,)


def test_blocks_of_a_network_are_one_part_each():
    names = [part.name for part in parts_of(build("residual_cnn"))]
    assert names[:3] == ["images", "standardize", "stem"]
    assert names[3:7] == ["stage1", "stage2", "stage3", "stage4"]


def test_a_page_holds_table_picture_and_reasons(tmp_path):
    run("tfcifar.architecture", "fast_cnn", "--output", tmp_path)
    text = (tmp_path / "fast_cnn.md").read_text()
    assert "| block2 | 7 x 7 x 256 |" in text
    assert "![" in text
    assert (tmp_path / "fast_cnn.png").is_file()
