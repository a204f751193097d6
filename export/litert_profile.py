"""The profiler inside LiteRT, which its Python package ships but does not wrap (ai-edge-litert 2.3).

Its C interface is called directly: litert/c/litert_profiler.h and its neighbours in github.com/google-ai-edge/LiteRT.
"""

import ctypes
from ctypes import Array, byref, c_char, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any

CPU = 1  # kLiteRtHwAcceleratorCpu
# tflite::Profiler::EventType: operations on LiteRT's own kernels, and those inside a delegate such as XNNPACK.
OPERATION, DELEGATED_OPERATION = 2, 8
FIRST = c_size_t(0)  # signature, input and output
OPTIONS = {b"runtime_options_string": b"enable_profiling = true\n", b"xnnpack": b"num_threads = 1\n"}
LEAVE = ctypes.CFUNCTYPE(None, c_void_p)(lambda options: None)  # frees options; these belong to Python


class Event(ctypes.Structure):
    """ProfiledEventData."""

    _fields_ = (
        ("tag", c_char_p),
        ("type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_size_t * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


def operation_times(path: Path, warm_up: int, calls: int) -> list[tuple[str, list[int]]]:
    """Run the model in `path` on one thread, one image at a time, whatever stands in its memory.

    Returns:
        Of each operation that a call runs its kind, and its microseconds in each of `calls` calls.

    Raises:
        OSError, AttributeError: this version of the package has no such library or function.
        RuntimeError: a function of it reports an error.
    """
    import ai_edge_litert

    library = _Library(Path(ai_edge_litert.__file__).with_name("libLiteRt.so"))
    environment = library.make("LiteRtCreateEnvironment", 0, None)
    model = library.make("LiteRtCreateModelFromFile", environment, str(path).encode())
    options = library.make("LiteRtCreateOptions")
    library.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    for name, text in OPTIONS.items():
        opaque = library.make("LiteRtCreateOpaqueOptions", name, text, LEAVE)
        library.call("LiteRtAddOpaqueOptions", options, opaque)
    compiled = library.make("LiteRtCreateCompiledModel", environment, model, options)
    signature = library.make("LiteRtGetModelSignature", model, FIRST)
    images, logits = (library.buffer(kind, environment, compiled, signature) for kind in ("Input", "Output"))

    def run(times: int) -> None:
        for _ in range(times):
            library.call("LiteRtRunCompiledModel", compiled, FIRST, c_size_t(1), images, c_size_t(1), logits)

    run(warm_up)
    profiler = library.make("LiteRtCompiledModelGetProfiler", compiled)
    library.call("LiteRtStartProfiler", profiler)
    run(calls)
    library.call("LiteRtStopProfiler", profiler)
    count = c_int()
    library.call("LiteRtGetNumProfilerEvents", profiler, byref(count))
    events = (Event * count.value)()
    library.call("LiteRtGetProfilerEvents", profiler, count, events)
    found = [(each.tag.decode(), each.elapsed_us) for each in events if each.type in (OPERATION, DELEGATED_OPERATION)]
    operations = len(found) // calls  # every call runs the same ones in the same order
    return [(found[i][0], [us for _, us in found[i::operations]]) for i in range(operations)]


class _Library:
    """Nothing that it makes is destroyed: the process that takes a profile ends with it."""

    def __init__(self, path: Path):
        self.functions = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.functions, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} of LiteRT reports status {status}")

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """What a function gives through its last argument."""
        made = c_void_p()
        self.call(name, *arguments, byref(made))
        return made

    def buffer(self, kind: str, environment: c_void_p, compiled: c_void_p, signature: c_void_p) -> Array[c_void_p]:
        """The memory of the only input or output, as the array of one that a run takes."""
        tensor = self.make(f"LiteRtGetSignature{kind}TensorByIndex", signature, FIRST)
        description = (c_char * 512)()  # a LiteRtRankedTensorType, which is smaller
        self.call("LiteRtGetRankedTensorType", tensor, description)
        needs = self.make(f"LiteRtGetCompiledModel{kind}BufferRequirements", compiled, FIRST, FIRST)
        made = self.make("LiteRtCreateManagedTensorBufferFromRequirements", environment, description, needs)
        return (c_void_p * 1)(made)
