"""Which number format to compute in, by measured rules."""

from pathlib import Path

from tfcifar.models import MODELS


def choose_precision(requested: str, model_name: str, gpu_capability: tuple[int, int] | None) -> str:
    """The Keras dtype policy for a run; `requested` is a policy or "auto".

    auto, on a GPU: bfloat16 from compute capability 8.0, float16 from 7.0 (tensor cores), else float32. On a CPU:
    bfloat16 where it has instructions for it (1.5 to 1.8 times faster for ordinary convolutions), but float32 for
    models of depthwise convolutions, which are 1.2 times slower in bfloat16: see docs/performance.md.
    """
    if requested != "auto":
        return requested
    if gpu_capability is not None:
        if gpu_capability >= (8, 0):
            return "mixed_bfloat16"
        return "mixed_float16" if gpu_capability >= (7, 0) else "float32"
    if MODELS[model_name].depthwise or not cpu_has_bfloat16():
        return "float32"
    return "mixed_bfloat16"


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    return cpuinfo.is_file() and bool({"avx512_bf16", "amx_bf16"} & set(cpuinfo.read_text().split()))


def gpu_capability() -> tuple[int, int] | None:
    """The first GPU's CUDA compute capability, or None without a GPU."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0)) if gpus else None
