"""Serve models over HTTP: Open Inference Protocol, TensorFlow Serving's REST, image uploads, metrics."""

import argparse
from pathlib import Path

from pipelines.errors import InputError
from tfcifar.cli import make_parser, run
from tfcifar.serving.settings import MIB, Settings

EPILOG = """examples:
  python -m tfcifar.serve --zoo student
  python -m tfcifar.serve runs/level_2-cpu-seed0 small=zoo/student/student.int8.tflite --port 8080
  python -m tfcifar.serve models/ --workers 2 --api-key-file keys.txt      # models/NAME/VERSION/artefact

  curl -F image=@cat.png http://127.0.0.1:8000/predict

docs/serving.md says more."""
KEY_LENGTH = 16  # characters; shorter ones can be guessed


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = make_parser("tfcifar.serve", __doc__, EPILOG)
    parser.add_argument("models", nargs="*", metavar="[NAME=]MODEL",
                        help="a .tflite, .onnx or .keras file, a SavedModel, a run directory, "
                             "or a folder of NAME/VERSION/model")  # fmt: skip
    parser.add_argument("--zoo", metavar="NAME", help="a model that comes with the code, in zoo/; beside MODEL")
    parser.add_argument(
        "--host", default=Settings.host, help="address to listen on (default: %(default)s, this machine)"
    )
    parser.add_argument("--port", type=int, default=Settings.port, help="0: any free one (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=Settings.workers, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=Settings.threads, metavar="N", help="of one prediction (default: %(default)s)"
    )
    parser.add_argument(
        "--api-key-file", type=Path, metavar="FILE", help="one key a line; without it none is asked for"
    )
    batching = parser.add_argument_group("batching")
    batching.add_argument(
        "--max-batch", type=int, default=Settings.max_batch, metavar="N", help="images (default: %(default)s)"
    )
    batching.add_argument("--max-delay", type=float, default=1000 * Settings.max_delay, metavar="MS",
                          help="that an image may wait for others (default: %(default)s ms)")  # fmt: skip
    limits = parser.add_argument_group("limits (of one process; beyond them: 429, or 413 for bytes)")
    limits.add_argument("--max-queue", type=int, default=Settings.max_queue, metavar="N",
                        help="images waiting for one model (default: %(default)s)")  # fmt: skip
    limits.add_argument("--max-requests", type=int, default=Settings.max_requests, metavar="N",
                        help="in progress (default: %(default)s)")  # fmt: skip
    limits.add_argument(
        "--max-body",
        type=int,
        default=Settings.max_body // MIB,
        metavar="MIB",
        help="of a request (default: %(default)s)",
    )
    limits.add_argument("--max-pixels", type=int, default=Settings.max_pixels, metavar="N",
                        help="height x width of an image file (default: %(default)s)")  # fmt: skip
    limits.add_argument("--timeout", type=float, default=Settings.timeout, metavar="S",
                        help="from a request's head to its answer (default: %(default)s s)")  # fmt: skip
    parser.add_argument("--poll", type=float, default=Settings.poll, metavar="S",
                        help="between looks for new versions in a folder (default: %(default)s s)")  # fmt: skip
    args = parser.parse_intermixed_args(argv)
    if not args.models and not args.zoo:
        parser.error("expected a model, or --zoo NAME")
    for name in ("workers", "threads", "max_batch", "max_queue", "max_requests", "max_body", "max_pixels"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: expected at least 1, received {getattr(args, name)}")
    if not 0 <= args.port <= 65535:
        parser.error(f"--port: expected 0 to 65535, received {args.port}")
    if not args.max_delay >= 0:  # nor is it NaN
        parser.error(f"--max-delay: expected 0 or more, received {args.max_delay}")
    for name in ("timeout", "poll"):
        if not getattr(args, name) > 0:
            parser.error(f"--{name}: expected above 0, received {getattr(args, name)}")
    return args


def read_keys(path: Path) -> list[str]:
    """The API keys in a file, one a line; empty lines and those that begin with # do not count."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--api-key-file: {path} cannot be read: {error}.") from error
    keys = [line for line in lines if line and not line.startswith("#")]
    bad = [key for key in keys if len(key) < KEY_LENGTH or not key.isascii()]
    if not keys or bad:
        received = f"{len(bad)} of another kind" if keys else "none"
        raise InputError(
            f"--api-key-file: expected keys of {KEY_LENGTH} or more ASCII characters in {path}, received {received}."
        )
    return keys


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    keys = read_keys(args.api_key_file) if args.api_key_file else []
    if not keys and args.host not in ("127.0.0.1", "::1", "localhost"):
        print(f"NOTE: {args.host} may be reached by others, and --api-key-file is not given.", flush=True)

    from export.open_model import open_model
    from tfcifar.prediction.zoo import zoo_model
    from tfcifar.serving.gate import digest_of
    from tfcifar.serving.server import serve

    settings = Settings(
        models=(*args.models, *([str(zoo_model(args.zoo))] if args.zoo else [])),
        host=args.host,
        port=args.port,
        workers=args.workers,
        threads=args.threads,
        max_batch=args.max_batch,
        max_delay=args.max_delay / 1000,
        max_queue=args.max_queue,
        max_requests=args.max_requests,
        max_body=args.max_body * MIB,
        max_pixels=args.max_pixels,
        timeout=args.timeout,
        poll=args.poll,
        keys=tuple(map(digest_of, keys)),
    )
    serve(settings, open_model)


if __name__ == "__main__":
    run(main)
