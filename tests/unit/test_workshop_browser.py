"""The page of the bench in a real browser: Chromium, driven over its DevTools pipe. Skipped where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hub.site.load import load
from hub.workshop.bench import Bench, text_of
from hub.workshop.draft import Drafts
from hub.workshop.server import Workshop

ROOT = Path(__file__).parents[2]
NAME = "mappings/manifest/cuscar-d95b--to--manifest.yaml"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--window-size=1400,900",
    "--remote-debugging-pipe",
)
SETTLED = """new Promise((done) => {
  const look = () => document.body.dataset.ready ? done(true) : requestAnimationFrame(look);
  look();
})"""
TYPE = """(([name, from, to]) => {
  const area = document.querySelector(`#${name} textarea`);
  area.value = area.value.replace(from, to);
  delete document.body.dataset.ready;
  area.dispatchEvent(new Event("input"));
})"""
CLICK = """(([name, text]) => {
  const area = document.querySelector(`#${name} textarea`);
  area.selectionStart = area.selectionEnd = area.value.indexOf(text) + 1;
  area.dispatchEvent(new Event("click"));
})"""
LIT = """((name) => [...document.querySelectorAll(`#${name} .lit`)].map((one) => one.textContent).join("|"))"""
TEXT = """((query) => document.querySelector(query).textContent)"""
VALUE = """((name) => document.querySelector(`#${name} textarea`).value)"""
WRONG = """((name) => [...document.querySelectorAll(`#${name} .error-line`)].map((one) => one.textContent).join("|"))"""
BOX = """(([name, text]) => {
  const found = [...document.querySelectorAll(`#${name} pre span`)].find((one) => one.textContent.includes(text));
  const box = found.getBoundingClientRect();
  return [box.left + 4, box.top + box.height / 2];
})"""


class Browser:
    """One page of Chromium; messages are JSON with a zero byte behind each."""

    def __init__(self, folder: Path) -> None:
        pipes = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null'
        command = ["sh", "-c", pipes, CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        piped = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=piped, stdout=piped, stderr=subprocess.DEVNULL, bufsize=0)
        self.number, self.session, self.left = 0, "", b""
        self.told: list[dict[str, Any]] = []

    def send(self, method: str, **params: Any) -> Any:
        self.number += 1
        asked = {"id": self.number, "method": method, "params": params}
        if self.session:
            asked["sessionId"] = self.session
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asked).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.told.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        assert self.process.stdout
        while b"\0" not in self.left:
            more = self.process.stdout.read(65536)
            assert more, "the browser has ended"
            self.left += more
        line, _, self.left = self.left.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(self, url: str) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Log.enable")
        self.send("Runtime.enable")
        self.send("Page.enable")
        self.send("Page.navigate", url=url)
        while not any(one.get("method") == "Page.loadEventFired" for one in self.told):
            self.told.append(self._next())
        self.run(SETTLED)

    def run(self, code: str, *given: Any) -> Any:
        """What a script says; a function is called with what is given."""
        call = f"{code}({json.dumps(given[0] if len(given) == 1 else list(given))})" if given else code
        said = self.send("Runtime.evaluate", expression=call, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def close(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    text, codec = text_of((ROOT / "mappings/manifest/cases/01-original/in.edi").read_bytes())
    bench = Bench(Drafts.of(load(ROOT), NAME), "in.edi", codec, "en")
    with Workshop(bench, text, (ROOT / NAME).read_text("utf-8")) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        browser = Browser(tmp_path_factory.mktemp("chromium"))
        try:
            browser.open(server.url)
            yield browser
        finally:
            browser.close()
            server.shutdown()
            thread.join()


def test_a_click_on_a_value_lights_up_its_source_and_its_rule(page: Browser) -> None:
    x, y = page.run(BOX, "output", "9100310")
    for what in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", clickCount=1)
    assert page.run(LIT, "source") == page.run(LIT, "output") == "9100310"
    assert page.run(LIT, "mapping").replace("|", "").startswith("IMO: ")


def test_a_click_on_the_source_lights_up_what_is_made_of_it(page: Browser) -> None:
    page.run(CLICK, "source", "0126W")
    assert page.run(LIT, "output") == "0126W"


def test_the_meaning_of_a_place_is_shown_under_the_mouse(page: Browser) -> None:
    x, y = page.run(BOX, "source", "BGM")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert page.run(TEXT, "#card").startswith("BGM · BEGINNING OF MESSAGE")
    x, y = page.run(BOX, "output", "<Number")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert page.run(TEXT, "#card").startswith("Manifest/Number\n舱单号")


def test_the_output_follows_what_is_typed_and_a_mistake_stands_at_its_line(page: Browser) -> None:
    page.run(TYPE, "mapping", "Voyage: ", "Voyage: =TYPED # ")
    page.run(SETTLED)
    assert "<Voyage>TYPED</Voyage>" in page.run(VALUE, "output")
    page.run(TYPE, "mapping", "=TYPED # ", "BGM/9999 # ")
    page.run(SETTLED)
    assert page.run(WRONG, "mapping").strip().startswith("Voyage: BGM/9999")
    assert "mapping." in page.run(TEXT, "#mapping ul") and "before" in page.run(TEXT, "#state")
    assert "<Voyage>TYPED</Voyage>" in page.run(VALUE, "output")  # what was there stands, greyed
    page.run(TYPE, "mapping", "BGM/9999 # ", "")
    page.run(SETTLED)
    assert page.run(WRONG, "mapping") == "" and "0126W" in page.run(VALUE, "output")


def test_the_page_keeps_to_its_policy(page: Browser) -> None:
    said = [one["params"] for one in page.told if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert [one for one in said if "favicon" not in json.dumps(one)] == []
