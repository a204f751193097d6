"""The small trained models that come with the code: zoo/NAME/NAME.int8.tflite, each with its card."""

from pathlib import Path

from pipelines.errors import InputError, unknown

ZOO = Path(__file__).parents[2] / "zoo"


def zoo_model(name: str, zoo: Path = ZOO) -> Path:
    """The INT8 file of a model. Raises InputError, with what there is, for any other name."""
    files = (folder / f"{folder.name}.int8.tflite" for folder in zoo.glob("*/"))
    found = {path.parent.name: path for path in files if path.is_file()}
    if not found:
        raise InputError(f"--zoo: there are no models in {zoo} (expected NAME/NAME.int8.tflite).")
    if name not in found:
        raise unknown("--zoo", name, found)
    return found[name]
