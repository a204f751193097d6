"""What counts as memory of its own, and how the growth is told."""

import mmap
import os

import numpy as np

from benchmarks.memory import anonymous_bytes, table, write_images

SIZE = 32 << 20


def test_pages_of_a_file_are_not_anonymous_memory_and_others_are(tmp_path):
    (tmp_path / "file").write_bytes(bytes(SIZE))
    before = anonymous_bytes(os.getpid())
    with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert np.frombuffer(mapped, np.uint8).sum() == 0
        assert anonymous_bytes(os.getpid()) - before < SIZE / 2
    # Pages that the process did not have before, which an array might not need.
    with mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as fresh:
        fresh.write(b"1" * SIZE)
        assert anonymous_bytes(os.getpid()) - before > SIZE / 2


def test_the_folder_has_every_part_in_both_classes(tmp_path):
    write_images(tmp_path, 24)
    counts = {
        f"{part.name}/{each.name}": len(list(each.iterdir())) for part in tmp_path.iterdir() for each in part.iterdir()
    }
    assert counts == {
        f"{part}/{each}": n for part, n in (("train", 2), ("validation", 5), ("test", 5)) for each in "ab"
    }


def test_the_growth_is_what_the_larger_folder_takes_more():
    lines = table(1000, {"disk": (400_000_000, 412_000_000)}).splitlines()
    assert lines[0].startswith("| `data.cache` | 1,000 images (7 MB decoded) | 10,000 images (69 MB decoded)")
    assert lines[2] == "| disk | 400 MB | 412 MB | **12 MB** |"
