"""What the benchmark of the input chain reports, and that its PyTorch peers do the operations that it says."""

import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks import data_pipeline
from pipelines.augment_config import Augment
from pipelines.errors import InputError

# Speeds of three rounds; the ratios of a round to the consumption are 20, 10 and 40, to the peer 2, 5 and 2.5.
ROUNDS = [
    {"chain": 200.0, "consumption": 10.0, "peer": 100.0, "tuned": 100.0},
    {"chain": 100.0, "consumption": 10.0, "peer": 20.0, "tuned": 100.0},
    {"chain": 400.0, "consumption": 10.0, "peer": 160.0, "tuned": 100.0},
]


def test_help_answers_at_once_and_without_tensorflow():
    code = (
        "import sys, benchmarks.data_pipeline as b\n"
        "try: b.parse(['--help'])\n"
        "except SystemExit: sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1  # of the processor, which other work does not lengthen: 0.1


def test_a_missing_torch_is_one_line_that_says_what_to_do():
    code = (
        "import sys; sys.argv = ['x', '--rounds', '1']\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else real(name, *rest)\n"
        "from benchmarks.data_pipeline import main, run; run(main)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: torch: not installed, and the DataLoader peer needs it. Run: pip install torch\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds: expected 1 or more, received 0"),
        (["--images", "999"], "--images: expected two batches or more"),
        (["--consumption", "0"], "--consumption: expected more than 0"),
        (["--sets", "none", "--record"], "--record: expected 'fast' among --sets, received none"),
    ],
)
def test_arguments_that_measure_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        data_pipeline.parse(arguments)


def test_ratios_are_of_the_speeds_of_one_round():
    assert data_pipeline.ratios(ROUNDS, "consumption") == [10, 20, 40]
    assert data_pipeline.ratios(ROUNDS, "peer") == [2, 2.5, 5]
    assert data_pipeline.ratios(ROUNDS, "tuned") == [1, 2, 4]


def test_the_table_leaves_the_cells_of_a_missing_peer_empty():
    alone = [{"chain": 1200.0, "consumption": 10.0}]
    rows = data_pipeline.table({"fast": ROUNDS, "rand_augment": alone}).splitlines()[2:]
    assert rows == [
        "| fast | 200 | 20 (10 to 40) | 100 | 2.5 (2.0 to 5.0) | 100 | 2.0 (1.0 to 4.0) |",
        "| rand_augment | 1,200 | 120 (120 to 120) |  |  |  |  |",
    ]


def test_records_have_the_fields_of_the_summary():
    environment = {"command": "python -m x", "hardware": "2 cores", "commit": "abc1234", "packages": {}}
    rounds = [speeds | {"tuned": speeds["chain"] / 4} for speeds in ROUNDS]
    consumption, peer, tuned = data_pipeline.records(rounds, environment, 12.34)
    assert (consumption["metric"], consumption["value"]) == ("ratio_to_consumption", 20)
    assert (peer["metric"], peer["value"]) == ("ratio_to_pytorch", 2.5)  # of the median speeds it would be 2
    assert (tuned["metric"], tuned["value"]) == ("ratio_to_tuned_pytorch", 4)
    fields = {"name", "metric", "value", "std", "n", "unit", "command", "seconds", "hardware", "commit", "details"}
    assert set(peer) == set(consumption) == fields
    assert (peer["name"], peer["n"], peer["std"], peer["seconds"]) == ("data_chain", 3, None, 12.3)


def test_the_first_tenth_of_the_batches_is_not_timed():
    def batches():
        for number in range(20):
            time.sleep(0.5 if number < 2 else 0.005)
            yield number

    assert (
        300 < data_pipeline.images_per_second(batches(), 20, 10) <= 2000
    )  # 180 images in 0.09 s or a bit more; all 200 take 1.09 s


# The peers; without torch, which the project itself does not need, they are not tested.


@pytest.fixture
def peer():
    pytest.importorskip("torch")
    from benchmarks import peer_torch_data

    return peer_torch_data


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)


def dataset(peer, kind, images, **augment):
    return getattr(peer, kind)(images, np.arange(len(images)), 3, Augment(**augment))


KINDS = ["AugmentedImages", "TunedImages"]


@pytest.mark.parametrize("kind", KINDS)
def test_peer_crops_and_flips_are_the_windows_of_the_padded_image_and_all_occur(peer, images, kind):
    padded = np.pad(images[1].astype(np.float32), [(2, 2), (2, 2), (0, 0)], "reflect").transpose(2, 0, 1)
    windows = {
        padded[:, y : y + 6, x : x + 8][:, :, ::turn].tobytes() for y in range(5) for x in range(5) for turn in (1, -1)
    }
    ds = dataset(peer, kind, images, crop_padding=2, flip="random")
    assert {np.ascontiguousarray(ds[1][0].numpy()).tobytes() for _ in range(1000)} == windows


@pytest.mark.parametrize("kind", KINDS)
def test_peer_flips_alternate_with_the_epoch(peer, images, kind):
    ds = dataset(peer, kind, images, flip="alternating")
    first = [ds[i][0].numpy() for i in range(3)]
    ds.epoch.fill_(1)
    for index in range(3):
        np.testing.assert_array_equal(ds[index][0].numpy(), first[index][:, :, ::-1])


@pytest.mark.parametrize("kind", KINDS)
def test_peer_erases_the_share_that_it_should_and_smooths_labels(peer, kind):
    blank = np.zeros((400, 32, 32, 3), np.uint8)
    ds = getattr(peer, kind)(blank, np.arange(400) % 3, 3, Augment(erasing_probability=0.25, label_smoothing=0.3))
    items = [ds[i] for i in range(400)]
    assert 0.15 < np.mean([bool((image > 0).any()) for image, _ in items]) < 0.35
    np.testing.assert_allclose(items[1][1].numpy(), [0.1, 0.8, 0.1], atol=1e-6)
    cut = getattr(peer, kind)(blank, np.arange(400) % 3, 3, Augment(cutout_size=12))
    assert max(int((cut[i][0] == peer.GRAY).sum()) for i in range(400)) == 12 * 12 * 3


@pytest.mark.parametrize("setting", ["mixup_alpha", "cutmix_alpha"])
def test_peer_mixes_images_and_labels_by_the_same_share(peer, setting):
    shades = np.broadcast_to(np.array([0, 100, 200], np.uint8)[:, None, None, None], (3, 8, 8, 3))
    ds = dataset(peer, "TunedImages", np.ascontiguousarray(shades), **{setting: 1.0})
    for _ in range(20):
        mixed, labels = peer.collate_and_mix([ds[0], ds[1], ds[2]], ds.augment)
        np.testing.assert_allclose(mixed.mean(dim=(1, 2, 3)), labels.numpy() @ [0, 100, 200], atol=1e-3)


def test_peer_knows_what_it_has_no_equivalent_of(peer):
    found = {name for name, augment in data_pipeline.SETS.items() if not peer.has_equivalent(augment)}
    assert found == {"rand_augment", "augmix"}
