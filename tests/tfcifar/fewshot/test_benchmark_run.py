"""What a benchmark keeps of its episodes."""

import numpy as np
import pytest

from pipelines.errors import InputError
from tfcifar.fewshot import benchmark_run, meta_train
from tfcifar.fewshot.episodes import EpisodeSampler
from tfcifar.fewshot.methods import method_class
from tfcifar.fewshot.settings import FewShot
from tfcifar.run_dir import read_json

TINY = FewShot(data=("colours@4/0/2",), methods=("fomaml", "reptile"), widths=(4,), ways=2, queries=4, shots=(1,),
               train_shots=2, meta_batch=1, inner_steps=1, iterations=2, validation_every=2, episodes=3)  # fmt: skip


@pytest.fixture
def opened(source, monkeypatch):
    monkeypatch.setattr(benchmark_run, "open_source", lambda *arguments: source)


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


def test_a_draw_has_classes_and_a_training_of_its_own_and_stays_when_another_is_added(opened, tmp_path, monkeypatch):
    first = benchmark_run.run_benchmark(TINY, None, tmp_path)
    trained = []
    monkeypatch.setattr(meta_train, "_make_step", record(trained, meta_train._make_step))
    found = benchmark_run.run_benchmark(TINY.replace(draws=2), None, tmp_path)
    assert len(trained) == 2  # the two methods of the second draw
    assert [(each.draw, each.method) for each in found] == [
        (0, "fomaml"), (0, "reptile"), (1, "fomaml"), (1, "reptile")]  # fmt: skip
    np.testing.assert_array_equal(found[0].accuracies, first[0].accuracies)
    assert found[0].pool.test_classes != found[2].pool.test_classes
    assert found[0].pool.test_images == 24
    learner = read_json(tmp_path / "colours_4_0_2" / "draw1" / "fomaml" / "learner.json")
    assert (learner["meta_training"]["seed"], learner["meta_training"]["split_seed"]) == (1, 1)


def test_a_method_whose_loss_is_not_finite_has_failed_and_the_others_go_on(opened, tmp_path, monkeypatch):
    make = meta_train._make_step
    broken = [lambda *episodes: float("nan")]
    monkeypatch.setattr(
        meta_train, "_make_step", lambda method, *rest: broken[0] if method.name == "fomaml" else make(method, *rest)
    )
    found = benchmark_run.run_benchmark(TINY, None, tmp_path)
    assert [each.accuracies is None for each in found] == [True, False]
    broken[0] = lambda *episodes: pytest.fail("trained again")
    again = benchmark_run.run_benchmark(TINY, None, tmp_path)
    assert [each.accuracies is None for each in again] == [True, False]


def test_what_any_data_set_lacks_is_said_before_any_training(opened, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_run, "_trained", lambda *arguments: pytest.fail("trained"))
    for data, changes, lacking in (
        ("colours@5/0/4", {}, "class split: expected"),
        ("colours@4/0/4", {"shots": (30,)}, "30 shots"),
        ("colours@4/2/2", {"train_shots": 30}, "30 shots"),
    ):
        settings = TINY.replace(data=("colours@4/0/2", data), **changes)
        with pytest.raises(InputError, match=lacking):
            benchmark_run.run_benchmark(settings, None, tmp_path)


def record(calls, function):
    def wrapped(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return wrapped
