"""A .tflite file without what no runtime reads: the same vector more than once, and the names of constants.

In a small network of many channels that is a tenth of the file, in one of separable convolutions a quarter: the
converter writes eight bytes of zero for every channel of every kernel, and names of a hundred letters.
"""

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # bytes, of weights: `force_align` in TensorFlow's schema.fbs, which the generated Python leaves out


def read(content: bytes) -> schema.ModelT:
    return flatbuffer_utils.convert_bytearray_to_object(bytearray(content))


def shrink(content: bytes) -> bytes:
    """The same network in fewer bytes; inputs, outputs and signatures keep their names.

    The output of an operation keeps the end of the first of its names, "layer/operation", which tells where it is from;
    `quant_`, as TF-MOT calls the layers that it wraps, is left out.
    """
    model = read(content)
    for graph in model.subgraphs:
        kept = {*graph.inputs, *graph.outputs}
        made = {index for operation in graph.operators for index in operation.outputs}
        taken: set[bytes] = set()
        for index, tensor in enumerate(graph.tensors):
            if index in made - kept:
                first = tensor.name.partition(b";")[0]
                short = first.partition(b"/")[2].removeprefix(b"quant_") or first
                tensor.name = tensor.name if short in taken else short
                taken.add(short)
            elif index not in kept:
                tensor.name = None
    builder = _Builder()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Writes every vector of numbers once; as with strings and vtables, any number of tables may refer to it."""

    def __init__(self):
        super().__init__(1 << 20)
        self.vectors: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, its name in flatbuffers
        key = x.dtype.str, x.tobytes()
        if key not in self.vectors:
            self.vectors[key] = super().CreateNumpyVector(x)
        return self.vectors[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:  # noqa: N802, N803
        return super().StartVector(elemSize, numElems, ALIGNMENT if elemSize == 1 else alignment)
