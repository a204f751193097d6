"""Whether a SavedModel, which is a program, only computes."""

import re
from pathlib import Path
from typing import Any

from pipelines.errors import InputError

# Operations of a SavedModel that reach beyond its tensors: into files, other processes and Python.
REACHING = re.compile(
    "File|Dataset|Reader|Summary|Save|Restore|MergeV2|Vocab|Proto|PyFunc|Rpc|Debug|^Copy|^Print|^DumpTensor|"
    "^LoadAndRemap|^RecordInput|^Skipgram|^FixedUnigram|^ImmutableConst"
)
SAVER = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}  # each has them, beside what it serves


def check_operations(path: Path) -> None:
    """Raises InputError where a SavedModel, which is a program, would touch files or call Python."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel as SavedModelProto

    try:
        saved = SavedModelProto.FromString((path / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise InputError(f"{path}: cannot be loaded as a SavedModel: {error}") from error
    for meta in saved.meta_graphs:
        served, nodes = _served(meta), list(meta.graph_def.node)
        nodes += [node for function in meta.graph_def.library.function for node in function.node_def]
        operations = {node.op for node in nodes} - SAVER | {node.op for node in served}
        if found := sorted(filter(REACHING.search, operations)):
            raise InputError(f"{path}: expected a SavedModel that only computes, received one with {found[0]}.")


def _served(meta: Any) -> list:
    """The nodes that the signatures and objects of a graph of a SavedModel may run: all but its saver's."""
    functions = {function.signature.name: function for function in meta.graph_def.library.function}
    nodes = {node.name: node for node in meta.graph_def.node}
    objects = meta.object_graph_def
    ahead = {tensor.name for signature in meta.signature_def.values() for tensor in signature.outputs.values()}
    ahead |= {*objects.concrete_functions}
    ahead |= {node.bare_concrete_function.concrete_function_name for node in objects.nodes}
    ahead |= {name for node in objects.nodes for name in node.function.concrete_functions}
    served, seen = [], set()
    while ahead:
        seen.add(name := ahead.pop())
        found = list(functions[name].node_def) if name in functions else []
        node = nodes.get(name.removeprefix("^").split(":")[0])
        if node is not None:
            found.append(node)
            ahead |= {*node.input} - seen
        for each in found:
            lists = [value.list.func for value in each.attr.values()]
            called = [value.func for value in each.attr.values()] + [one for many in lists for one in many]
            ahead |= ({each.op} | {function.name for function in called}) & functions.keys() - seen
        served += found
    return served
