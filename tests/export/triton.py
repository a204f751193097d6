"""Triton's own reading of the configurations in deploy/triton/."""

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from tests.integration.commands import PROJECT


def read_config(model: str) -> ModelConfig:
    text = (PROJECT / "deploy" / "triton" / model / "config.pbtxt").read_text()
    config = text_format.Parse(text, ModelConfig())
    assert config.name == model  # Triton wants the name of its folder
    return config


def tensors(config: ModelConfig) -> list[tuple]:
    """(name, type, sizes without the batch) of the input and the output."""
    return [(each.name, DataType.Name(each.data_type), list(each.dims)) for each in (*config.input, *config.output)]
