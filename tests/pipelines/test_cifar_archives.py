"""Small generated batches in the official layouts; their MD5 sums stand in for the official ones."""

import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from pipelines import cifar_archives
from pipelines.errors import InputError
from pipelines.sources import open_source

NAMES_10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def record_of(red, green, blue):
    """3072 bytes of one plain colour, plane by plane, as the CIFAR page describes them."""
    return [red] * 1024 + [green] * 1024 + [blue] * 1024


def py_batch(labels, key=b"labels"):
    data = np.array([record_of(10 + i, 20, 30) for i in range(len(labels))], np.uint8)
    return pickle.dumps({b"data": data, key: labels}, protocol=3)


def cifar10_files():
    files = {f"data_batch_{n}": py_batch([n - 1, n]) for n in range(1, 6)}
    files["test_batch"] = py_batch([9])
    files["batches.meta"] = pickle.dumps({b"label_names": [name.encode() for name in NAMES_10]}, protocol=3)
    return files


def test_a_folder_without_official_files_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: expected the files of an extracted CIFAR archive"):
        cifar_archives.open_cifar(tmp_path)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(folder, files): puts files into tmp_path/folder, and their sums into the table."""

    def write(folder, files):
        (tmp_path / folder).mkdir()
        for name, content in files.items():
            (tmp_path / folder / name).write_bytes(content)
            monkeypatch.setitem(cifar_archives.MD5, f"{folder}/{name}", hashlib.md5(content).hexdigest())
        return tmp_path / folder

    return write


@pytest.fixture
def folder(write):
    return write("cifar-10-batches-py", cifar10_files())


def pack(path, folder, files, monkeypatch, official_name):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar_archives.MD5, official_name, digest)
    return path


def test_python_batches_are_joined_in_order_with_channels_last(folder):
    source = open_source(str(folder))
    assert source.class_names == tuple(NAMES_10)
    assert source.train.labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert source.train.images.shape == (10, 32, 32, 3)
    assert source.train.images[1, 5, 7].tolist() == [11, 20, 30]
    assert source.load_test().labels.tolist() == [9]


def test_pickles_as_python_2_wrote_them_are_read(write):
    # Protocol 2 with byte strings (U, T) and numpy.core, opcode by opcode; today's pickle writes neither.
    pixels = bytes(record_of(1, 2, 3))
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(K\x01M\x00\x0ctcnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00" + pixels + b"tb"
    )
    batch = b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x07eu."
    source = open_source(str(write("cifar-10-batches-py", cifar10_files() | {"data_batch_1": batch})))
    assert source.train.labels[0] == 7
    assert source.train.images[0, 31, 31].tolist() == [1, 2, 3]


def test_parent_of_the_extracted_folder_and_data_dir_serve_as_well(folder):
    assert len(open_source(str(folder.parent)).train) == 10
    assert len(open_source("cifar10", data_dir=str(folder.parent)).train) == 10


def test_archive_is_read_in_memory_whatever_its_name(tmp_path, monkeypatch):
    files = cifar10_files()
    path = pack(tmp_path / "mine.tar.gz", "cifar-10-batches-py", files, monkeypatch, "cifar-10-python.tar.gz")
    source = open_source(str(path))
    assert source.train.labels.tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert source.load_test().labels.tolist() == [9]
    assert os.listdir(tmp_path) == ["mine.tar.gz"]


def test_binary_record_is_one_label_byte_then_the_planes(write):
    record = bytes([3, *record_of(1, 2, 3)])
    files = {f"data_batch_{n}.bin": record for n in range(1, 6)} | {"test_batch.bin": record}
    files["batches.meta.txt"] = "\n".join([*NAMES_10, ""]).encode()
    source = open_source(str(write("cifar-10-batches-bin", files)))
    assert source.train.labels.tolist() == [3] * 5
    assert source.train.images[0, 0, 0].tolist() == [1, 2, 3]


def test_cifar100_gives_fine_labels_from_python_and_binary(write, monkeypatch):
    names = [b"fine_%d" % n for n in range(100)]
    files = {"train": py_batch([99, 0], b"fine_labels"), "test": py_batch([5], b"fine_labels")}
    files["meta"] = pickle.dumps({b"fine_label_names": names}, protocol=3)
    assert open_source(str(write("cifar-100-python", files))).train.labels.tolist() == [99, 0]

    record = bytes([19, 99, *record_of(1, 2, 3)])  # coarse label, fine label, pixels
    monkeypatch.setitem(cifar_archives.SIZES, "cifar-100-binary/train.bin", 2 * 3074)
    files = {"train.bin": record * 2, "test.bin": record, "fine_label_names.txt": b"\n".join(names)}
    source = open_source(str(write("cifar-100-binary", files)))
    assert source.train.labels.tolist() == [99, 99]
    with pytest.raises(InputError, match=r"test\.bin: expected 30740000 bytes, received 3074"):
        source.load_test()


def test_altered_file_is_refused_with_both_sums(folder):
    content = bytearray((folder / "data_batch_3").read_bytes())
    content[-100] ^= 1
    (folder / "data_batch_3").write_bytes(content)
    received = hashlib.md5(content).hexdigest()
    with pytest.raises(InputError, match=rf"data_batch_3: expected md5 \w{{32}}, received {received}; .*Download"):
        open_source(str(folder))


def test_truncated_and_missing_files_are_refused(folder):
    (folder / "data_batch_2").write_bytes((folder / "data_batch_2").read_bytes()[:-1])
    with pytest.raises(InputError, match="data_batch_2: expected md5"):
        open_source(str(folder))
    (folder / "data_batch_2").unlink()
    with pytest.raises(InputError, match="data_batch_2: missing"):
        open_source(str(folder))


def test_unofficial_archive_is_refused(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"half a download")
    with pytest.raises(InputError, match="expected md5 c58f30108f718f92721af3d95e74349a, received"):
        open_source(str(tmp_path / "cifar-10-python.tar.gz"))


def test_test_file_is_not_opened_before_load_test(folder):
    (folder / "test_batch").write_bytes(b"altered")
    source = open_source(str(folder))
    with pytest.raises(InputError, match="test_batch: expected md5"):
        source.load_test()


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_hostile_pickle_is_refused_and_not_run(write, tmp_path):
    marker = tmp_path / "was_run"
    files = cifar10_files() | {"data_batch_1": pickle.dumps({b"data": Hostile(str(marker))}, protocol=3)}
    with pytest.raises(InputError, match=r"data_batch_1: pickle: expected only NumPy arrays, received \w+\.mkdir"):
        open_source(str(write("cifar-10-batches-py", files)))
    assert not marker.exists()


def test_label_out_of_range_is_refused(write):
    files = cifar10_files() | {"data_batch_4": py_batch([0, 10])}
    with pytest.raises(InputError, match=r"data_batch_4: expected labels 0\.\.9, received 10 at index 1"):
        open_source(str(write("cifar-10-batches-py", files)))


def test_image_size_is_respected(folder):
    assert open_source(str(folder), image_size=48).image_shape == (48, 48, 3)


def test_an_archive_beside_the_empty_folder_of_a_failed_download_is_found(tmp_path, monkeypatch):
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    monkeypatch.setattr(cifar_archives, "open_cifar", lambda path, image_size: path)
    assert open_source("cifar10", str(tmp_path)) == tmp_path / "cifar-10-python.tar.gz"
