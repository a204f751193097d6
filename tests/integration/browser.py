"""A headless Chromium, driven by the Chrome DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")


def find_chromium() -> str | None:
    """The one that the environment variable CHROMIUM names, or one on the PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page, as a context. `problems` are errors that the page has logged, violations of its policy included."""

    def __init__(self, executable: str, folder: Path):
        self.folder, self.problems, self.number = folder, [], 0
        command = [executable, "--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--disable-gpu",
                   "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                   "--disable-dev-shm-usage"]  # fmt: skip
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # it does not start otherwise
        self.process = subprocess.Popen([*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.runner = asyncio.Runner()

    def __enter__(self) -> "Browser":
        until = time.monotonic() + 30
        while not (port := self.folder / "DevToolsActivePort").is_file() or not port.read_text():
            assert time.monotonic() < until, "the browser does not start"
            time.sleep(0.05)
        self.runner.run(self._connect(port.read_text().splitlines()[0]))
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_) -> None:
        self.runner.run(self.session.close())
        self.runner.close()
        self.process.terminate()
        self.process.wait(10)

    def send(self, method: str, **parameters) -> dict:
        """The result of a command; events that come meanwhile are looked at for problems."""
        return self.runner.run(self._send(method, parameters))

    def open(self, url: str, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && location.href === '{url}'")

    def evaluate(self, script: str):
        """The value of a JavaScript expression; promises are awaited."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, script: str, seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({script})"):
            assert time.monotonic() < until, f"not within {seconds} s: {script}\n{self.problems}"
            time.sleep(0.02)

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def press(self, key: str) -> None:
        """A key of one line of text or none, such as Tab or Enter."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text)

    async def _connect(self, port: str) -> None:
        self.session = aiohttp.ClientSession()
        async with self.session.get(f"http://127.0.0.1:{port}/json/list") as response:
            (page,) = [each for each in await response.json() if each["type"] == "page"]
        self.socket = await self.session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)

    async def _send(self, method: str, parameters: dict) -> dict:
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": parameters})
        async with asyncio.timeout(30):
            while True:
                message = await self.socket.receive_json()
                if message.get("id") == self.number:
                    assert "error" not in message, (method, message["error"])
                    return message["result"]
                self._look_at(message)

    def _look_at(self, event: dict) -> None:
        if event["method"] == "Runtime.exceptionThrown":
            self.problems.append(event["params"]["exceptionDetails"])
        if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.problems.append(event["params"]["entry"]["text"])
