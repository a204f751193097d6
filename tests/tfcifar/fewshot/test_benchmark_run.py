"""What a benchmark keeps of its episodes."""

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.fewshot import benchmark_run
from tfcifar.fewshot.episodes import EpisodeSampler
from tfcifar.fewshot.methods import method_class


def test_kept_episodes_are_taken_whole_or_judged_again(network, part, tmp_path, capsys):
    method, sampler, path = method_class("prototype")(network), EpisodeSampler(part, 3, 1, 2, 0), tmp_path / "kept.npz"
    first, seconds = benchmark_run._judge(method, sampler, 4, "digest", path)
    kept, kept_seconds = benchmark_run._judge(method, sampler, 4, "digest", path)
    np.testing.assert_array_equal(kept, first)
    assert kept_seconds == seconds
    with pytest.raises(InputError, match=r"measured otherwise .*; give another --output"):
        benchmark_run._judge(method, sampler, 5, "digest", path)
    for length in (0, path.stat().st_size // 2, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:length])
        again, _ = benchmark_run._judge(method, sampler, 4, "digest", path)
        np.testing.assert_array_equal(again, first)
        assert "kept.npz: incomplete or altered, and is made again." in capsys.readouterr().err
