"""Where INT8 loses what: each operation's output beside that of the float32 file, over the same images.

Both files come from one graph, and the converter keeps the names of its operations, by which outputs are paired. An
error grows from layer to layer, and what a layer adds shows in the step from the one before it.
"""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from pipelines.errors import InputError
from tfcifar.models.multi_task import CLASSES


def quantization_errors(float_file: Path, int8_file: Path, images: np.ndarray) -> list[dict]:
    """A row for each operation that both files have, in the order of their execution.

    Args:
        float_file, int8_file: of `write_tflite`, of the same model, names kept.
        images: uint8 [n, h, w, 3], not of the test split.

    Returns:
        Rows of `layer`, `operation`, `rms` (of the float output), `relative_error` (root mean square of the difference
        over `rms`), `sqnr_db` (the same in decibels), `clipped` (share of float values that the int8 range leaves out)
        and `scale` (what one step of the output means).

    Raises:
        InputError: the files share no operation.
    """
    whole, integer = _Recorder(float_file), _Recorder(int8_file)
    shared = [name for name in integer.outputs if name in whole.outputs]
    if not shared:
        raise InputError(f"quantization error: {float_file} and {int8_file} have no operation in common.")
    squares = {name: np.zeros(2) for name in shared}  # of the float output, and of the difference
    clipped, values = dict.fromkeys(shared, 0), dict.fromkeys(shared, 0)
    for image in images:
        whole.run(image)
        integer.run(image)
        for name in shared:
            expected, received = whole.real(name), integer.real(name)
            squares[name] += np.square(expected).sum(), np.square(received - expected).sum()
            clipped[name] += integer.count_clipped(name, expected)
            values[name] += expected.size
    rows = []
    for name in shared:
        signal, error = np.sqrt(squares[name] / values[name])
        relative = float(error / signal) if signal else float(error > 0)
        rows.append(
            {
                "layer": _layer(name),
                "operation": integer.operations[name],
                "rms": float(signal),
                "relative_error": relative,
                "sqnr_db": float(-20 * np.log10(max(relative, 1e-9))),
                "clipped": clipped[name] / values[name],
                "scale": integer.scales[name],
            }
        )
    return rows


class _Recorder:
    """A file whose every tensor can be read after a run: on the reference kernels, without XNNPACK."""

    def __init__(self, path: Path):
        self.interpreter = Interpreter(
            model_path=str(path),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self.interpreter.allocate_tensors()
        tensors = {tensor["index"]: tensor for tensor in self.interpreter.get_tensor_details()}
        operations = [each for each in self.interpreter._get_ops_details() if len(each["outputs"]) == 1]
        named = {tensors[each["outputs"][0]]["name"]: each for each in operations}
        self.outputs = {name: int(each["outputs"][0]) for name, each in named.items()}
        self.operations = {name: each["op_name"] for name, each in named.items()}
        quantization = {name: tensors[index]["quantization"] for name, index in self.outputs.items()}
        self.scales = {name: float(scale) for name, (scale, _) in quantization.items()}
        self.zero_points = {name: int(zero) for name, (_, zero) in quantization.items()}

    def run(self, image: np.ndarray) -> None:
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], image[np.newaxis])
        self.interpreter.invoke()

    def real(self, name: str) -> np.ndarray:
        """What the values of an output stand for, float64."""
        values = self.interpreter.get_tensor(self.outputs[name]).astype(np.float64)
        return (values - self.zero_points[name]) * self.scales[name] if self.scales[name] else values

    def count_clipped(self, name: str, expected: np.ndarray) -> int:
        """How many of the `expected` values lie outside of what this output can hold."""
        scale, zero = self.scales[name], self.zero_points[name]
        low, high = ((end - zero) * scale for end in (-128, 127))
        return int(((expected < low - scale / 2) | (expected > high + scale / 2)).sum()) if scale else 0


def _layer(name: str) -> str:
    """ "whitening/BiasAdd" -> "whitening"; the output of the file, "StatefulPartitionedCall:0", is the logits."""
    return CLASSES if name.startswith("StatefulPartitionedCall") else name.partition("/")[0]
