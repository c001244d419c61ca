"""Chromium without a window, spoken to over two pipes (DevTools protocol): a page, what it says, what it looks like."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium")
WITHIN = 60.0
"""Seconds for one answer: the first takes as long as the browser takes to start."""


class Page:
    """One open page. `events` are all that the browser told of it so far."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._number = 0
        self._unread = b""
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        number = self._send(method, params)
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            answer = self._next(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self._hear(answer)
        raise AssertionError(f"{method}: no answer within {WITHIN:g} s")

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._number

    def _hear(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["method"] == "Page.javascriptDialogOpening":
            # A page that asks for something answers nothing meanwhile.
            self._send("Page.handleJavaScriptDialog", {"accept": True})

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._unread:
            readable, _, _ = select.select([self._back], [], [], max(0.0, deadline - time.monotonic()))
            assert readable, f"the browser says nothing within {WITHIN:g} s"
            chunk = os.read(self._back, 1 << 16)
            assert chunk, "the browser is gone"
            self._unread += chunk
        first, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def open(self, file: Path) -> None:
        self.visit(file.as_uri())

    def visit(self, url: str) -> None:
        """Have the page at this address, whole; another one is a failure."""
        self("Page.navigate", url=url)
        for _ in range(600):
            if self.ask("document.readyState + location.href") == f"complete{url}":
                return
            time.sleep(0.1)
        raise AssertionError(f"{url} does not load")

    def ask(self, expression: str) -> Any:
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def look(self, scheme: str) -> None:
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, "")
        code = {"Tab": 9, "Enter": 13}[key]
        for kind in ("keyDown", "keyUp"):
            self(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def picture(self, file: Path) -> None:
        data = self("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and what was asked of a network."""
        said = [str(e["params"]) for e in self.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        said += [str(e["params"]) for e in self.events if e["method"] == "Runtime.consoleAPICalled"]
        urls = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return said + [url for url in urls if not url.startswith("file:")]


@contextmanager
def page(folder: Path) -> Iterator[Page]:
    """A fresh browser with one page; `folder` is for its profile."""
    assert PROGRAM, "chromium is not installed: apt-get install chromium (`make test` does it)"
    reading, to = os.pipe()
    back, writing = os.pipe()

    def ends() -> None:
        # The browser reads on 3 and writes on 4. Out of the way first: either may be one of those.
        first, second = os.dup(reading), os.dup(writing)
        high = [os.dup(first), os.dup(second)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    words = [
        PROGRAM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={folder}",
        "--remote-debugging-pipe",
        "--window-size=1280,900",
        "about:blank",
    ]
    process = subprocess.Popen(
        words,
        close_fds=False,
        preexec_fn=ends,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reading)
    os.close(writing)
    try:
        yield Page(to, back)
    finally:
        os.close(to)
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
        os.close(back)
