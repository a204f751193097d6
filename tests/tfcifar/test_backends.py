"""The architectures that are trained from scratch compute the same logits on other backends of Keras."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.integration.commands import PROJECT
from tfcifar.models import MODELS, build_model
from tfcifar.recipe import Model

OWN = [name for name, entry in MODELS.items() if not entry.pretrained]
WIDTHS = dict.fromkeys(OWN, (8, 8, 8)) | dict.fromkeys(("residual_cnn", "attention_cnn"), (8, 8, 8, 8))
CASES = [Model(name, widths=WIDTHS[name]) for name in OWN]
CASES += [Model("attention_cnn", widths=(8, 8, 8, 8), attention=kind) for kind in ("cbam", "mhsa")]
# Loads weights from a file, so that no backend has to draw them, and writes the logits beside them.
PROGRAM = """
import json, sys, types
import keras, numpy as np
from tfcifar.models import build_model
folder, cases = sys.argv[1], json.loads(sys.argv[2])
images = np.load(f"{folder}/images.npy")
for number, case in enumerate(cases):
    model = build_model(types.SimpleNamespace(**case), (32, 32, 3), 10, (0.5,) * 3, (0.25,) * 3)
    with np.load(f"{folder}/{number}.npz") as weights:
        model.set_weights([weights[f"arr_{index}"] for index in range(len(weights.files))])
    np.save(f"{folder}/{number}.npy", keras.ops.convert_to_numpy(model(images, training=False)))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_own_architectures_give_the_logits_of_tensorflow(tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    images = np.random.RandomState(0).randint(0, 256, (3, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    expected = []
    for number, case in enumerate(CASES):
        keras.utils.set_random_seed(number)
        model = build_model(case, (32, 32, 3), 10, (0.5,) * 3, (0.25,) * 3)
        random = np.random.RandomState(number)
        # Also where a model begins with zeros or ones, which would hide what a layer does.
        weights = [each + 0.1 * random.uniform(0, 1, each.shape).astype(each.dtype) for each in model.get_weights()]
        model.set_weights(weights)
        np.savez(tmp_path / f"{number}.npz", *weights)
        expected.append(model(images, training=False).numpy())
    cases = json.dumps([vars(case) for case in CASES])
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), cases],
        cwd=PROJECT,
        env=os.environ | {"KERAS_BACKEND": backend},
        check=True,
    )
    for number, case in enumerate(CASES):
        logits = np.load(tmp_path / f"{number}.npy")
        scale = np.abs(expected[number]).max()
        np.testing.assert_allclose(logits / scale, expected[number] / scale, rtol=0, atol=1e-4, err_msg=case.name)
