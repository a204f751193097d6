"""The number format follows the hardware and the kind of model."""

import pytest

from tfcifar.training import precision
from tfcifar.training.precision import choose_precision, cpu_has_bfloat16

CPUINFO = "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu sse2 avx2 avx512f {}\n\nbugs\t: none\n"


@pytest.mark.parametrize(("flags", "expected"), [("avx512_bf16", True), ("amx_bf16 amx_tile", True), ("", False)])
def test_bfloat16_is_read_off_the_cpu_flags(tmp_path, flags, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(flags))
    assert cpu_has_bfloat16(path) is expected


def test_a_longer_flag_that_contains_the_name_is_another_flag(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format("avx512_bf16_not_really"))
    assert not cpu_has_bfloat16(path)


def test_without_cpuinfo_there_is_no_bfloat16(tmp_path):
    assert cpu_has_bfloat16(tmp_path / "none") is False


@pytest.mark.parametrize("requested", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("capability", [None, (8, 0)])
def test_what_is_asked_for_is_used(requested, capability):
    assert choose_precision(requested, "mobilenet_v2", capability) == requested


@pytest.mark.parametrize(
    ("capability", "policy"),
    [
        ((6, 1), "float32"),  # Pascal: no tensor cores
        ((7, 0), "mixed_float16"),  # Volta
        ((7, 5), "mixed_float16"),  # Turing
        ((8, 0), "mixed_bfloat16"),  # Ampere
        ((9, 0), "mixed_bfloat16"),  # Hopper
        ((12, 0), "mixed_bfloat16"),  # Blackwell
        ((0, 0), "float32"),  # unknown
    ],
)
def test_a_gpu_decides_by_its_compute_capability(capability, policy):
    assert choose_precision("auto", "resnet50", capability) == policy


@pytest.mark.parametrize(
    ("model", "has_bfloat16", "policy"),
    [
        ("residual_cnn", True, "mixed_bfloat16"),
        ("residual_cnn", False, "float32"),
        ("mobilenet_v2", True, "float32"),  # depthwise
        ("mobilenet_v2", False, "float32"),
    ],
)
def test_a_cpu_decides_by_its_flags_and_the_model(monkeypatch, model, has_bfloat16, policy):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: has_bfloat16)
    assert choose_precision("auto", model, None) == policy


def test_a_depthwise_model_on_a_gpu_follows_the_gpu():
    assert choose_precision("auto", "mobilenet_v2", (9, 0)) == "mixed_bfloat16"
