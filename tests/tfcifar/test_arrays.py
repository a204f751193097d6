"""Arrays come back as they were written, or not at all."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.arrays import read_arrays, read_cache, write_arrays
from tfcifar.run_dir import DamagedFileError

ARRAYS = {"logits": np.arange(12, dtype=np.float32).reshape(4, 3), "model": np.array("abc"), "empty": np.zeros((0, 3))}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_whatever_bit_turns_the_arrays_are_the_same_or_refused(tmp_path):
    """The same: where the mark is spoilt by which the checksum is known. Without it a member could go unnoticed."""
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)
    data = path.read_bytes()
    random, refused = np.random.RandomState(0), 0
    for place in random.choice(len(data), 300, replace=False):
        altered = bytearray(data)
        altered[place] ^= 1 << random.randint(8)
        path.write_bytes(altered)
        try:
            assert_same(read_arrays(path), ARRAYS)
        except DamagedFileError:
            refused += 1
    assert refused > 290


def test_files_from_before_there_was_a_checksum_are_read_and_their_arrays_checked(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez(path, **ARRAYS)
    assert_same(read_arrays(path), ARRAYS)
    data = path.read_bytes()
    place = data.index(ARRAYS["logits"].tobytes()) + 9
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(DamagedFileError, match=r"CRC-32|checksum of logits"):
        read_arrays(path)


def test_anybody_can_read_the_file(tmp_path):
    write_arrays(tmp_path / "arrays.npz", ARRAYS)
    with np.load(tmp_path / "arrays.npz") as file:
        assert_same(dict(file), ARRAYS)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused_with_what_to_do(tmp_path, share):
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedFileError, match=r"arrays.npz: incomplete or altered \(.*\). Delete it, and give"):
        read_arrays(path)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOMEM, None])
def test_a_file_that_cannot_be_read_now_does_not_count_as_damaged(tmp_path, monkeypatch, error):
    path = tmp_path / "arrays.npz"
    write_arrays(path, ARRAYS)

    def fail(*_):
        raise MemoryError if error is None else OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(InputError, match=r"arrays.npz: cannot be read now \(.+\)\.") as refused:
        read_cache(path)
    assert not isinstance(refused.value, DamagedFileError)


def test_a_pickled_array_is_refused(tmp_path):
    np.savez(tmp_path / "arrays.npz", objects=np.array([{}], dtype=object))
    with pytest.raises(DamagedFileError, match="allow_pickle=False"):
        read_arrays(tmp_path / "arrays.npz")


def test_a_cache_that_is_damaged_counts_as_none_and_that_is_said(tmp_path, capsys):
    path = tmp_path / "cache.npz"
    assert read_cache(path) is None
    assert capsys.readouterr().err == ""
    write_arrays(path, ARRAYS)
    assert_same(read_cache(path), ARRAYS)
    path.write_bytes(b"half")
    assert read_cache(path) is None
    assert "cache.npz: incomplete or altered, and is made again." in capsys.readouterr().err
