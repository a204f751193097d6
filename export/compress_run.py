"""Export, verify and measure one run; leave all of it in its directory."""

from export.calibration_data import representative_images
from export.compress_report import write_summary
from export.quantization_error import quantization_errors
from export.verify import verify
from export.write_artifacts import is_quantization_aware, write_artifacts
from pipelines.errors import InputError
from tfcifar.environment import record_command
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir, write_csv, write_json
from tfcifar.training.trainer import check_same_data

IMAGES_FOR_ERRORS = 100  # of the representative ones: the reference kernels take their time


def compress_run(
    run_dir: RunDir,
    name: str,
    forms: list[str],
    images: int | None,
    seed: int,
    on_test: bool,
    corrupted: int,
    benchmark: bool,
) -> str:
    """Write NAME.* in each of `forms`, cards, quantization.csv, compress.json, .md and .html to the run's export/.

    Args:
        images, seed: of the representative images, see `representative_images`.
        on_test: judge on the test split too.
        corrupted: judge on so many corrupted images too.
        benchmark: measure latencies, into export/benchmark/.

    Returns:
        The tables of the summary.

    Raises:
        InputError: neither validation nor test images to judge by; other data than the run's.
    """
    data = load_json(run_dir.recipe).data
    if data.train_on_validation and not on_test:
        raise InputError(
            f"--no-test: expected a run with validation images of its own, received {run_dir.path}, which has trained "
            "on them; only the test split can judge its files."
        )
    splits, _ = open_splits(data)
    check_same_data(run_dir, splits)
    folder, model = run_dir.exports, load_model(run_dir.model)
    representative = representative_images(splits, images, seed)
    paths = write_artifacts(model, run_dir, folder, name, forms, representative)
    cards, broken = verify(model, run_dir, splits, paths, name, on_test, corrupted)
    (folder / "quantization.csv").unlink(missing_ok=True)  # of an earlier call
    if {"tflite_float32", "tflite_int8"} <= set(paths):
        files = paths["tflite_float32"], paths["tflite_int8"]
        write_csv(folder / "quantization.csv", quantization_errors(*files, representative[:IMAGES_FOR_ERRORS]))
    record = {
        "name": name,
        "representative_images": {"split": "train", "count": len(representative), "seed": seed},
        "quantization_aware": is_quantization_aware(run_dir),
        "files": [path.name for path in paths.values()],
        "broken_by": {form: int(row.sum()) for form, row in zip(paths, broken, strict=True)},
        "broken_by_all": int(broken.all(axis=0).sum()),
    }
    write_json(folder / "compress.json", record)
    if benchmark:
        from export.benchmark_run import benchmark_files

        benchmark_files([str(path) for path in paths.values()], folder / "benchmark")
    record_command(run_dir.path)
    return write_summary(folder, cards, benchmark)
