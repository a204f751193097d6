"""The command line of the server: what it refuses before anything is loaded, and what it asks of its process."""

import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import InputError
from tfcifar import serve
from tfcifar.prediction.zoo import zoo_model
from tfcifar.serving.server import bind


@pytest.mark.parametrize(
    "options",
    [["--workers", "0"], ["--port", "70000"], ["--max-delay", "-1"], ["--timeout", "0"], ["--max-body", "0"],
     ["--timeout", "nan"]],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(SystemExit) as exit_:
        serve.main(["model.onnx", *options])
    assert exit_.value.code == 2


def test_a_model_of_the_zoo_is_served_by_its_name_beside_others(monkeypatch, capsys):
    served = []
    monkeypatch.setattr("tfcifar.serving.server.serve", lambda settings, _: served.append(settings.models))
    serve.main(["--zoo", "student", "--port", "8080", "mine=model.onnx"])
    ((mine, student),) = served
    assert mine == "mine=model.onnx"
    assert Path(student) == zoo_model("student")
    with pytest.raises(SystemExit):
        serve.main(["--port", "8080"])
    assert "expected a model, or --zoo NAME" in capsys.readouterr().err


def test_keys_are_read_one_a_line(tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text("# for the phone\n\n  0123456789abcdef  \nfedcba9876543210\n")
    assert serve.read_keys(path) == ["0123456789abcdef", "fedcba9876543210"]
    for content, message in (("", "received none"), ("short\n", "received 1"), ("0123456789abcdeé\n", "received 1")):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            serve.read_keys(path)
    with pytest.raises(InputError, match="cannot be read"):
        serve.read_keys(tmp_path)


def test_an_address_that_is_taken_is_an_input_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot listen there"):
            bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_decoded_images_goes_back_to_the_system():
    code = """
import io, threading
from PIL import Image
from pipelines.image_folder import read_image
from tfcifar.serving.server import free_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

free_large_blocks()
stream = io.BytesIO()
Image.new("RGBA", (2500, 2500)).save(stream, "PNG")
before = resident()
threads = [threading.Thread(target=read_image, args=[stream.getvalue()]) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident() - before)
"""
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(completed.stdout) < 20_000_000  # bytes; each took 150 MB for a while
