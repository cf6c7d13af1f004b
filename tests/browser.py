"""Headless Chromium, for pages that this project writes: what it measures in them, and how they look.

python tests/browser.py PAGE FOLDER     # screenshots at 1280 and 390 px, light and dark
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--allow-file-access-from-files",
    "--virtual-time-budget=3000",
]
MEASURE = """
<script>
addEventListener("load", () => {
  const wide = document.documentElement.clientWidth;
  const scrolls = one => { for (; one; one = one.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(one).overflowX)) return true; } return false; };
  const outside = [...document.body.querySelectorAll("*")].filter(one => {
    const box = one.getBoundingClientRect();
    return !one.ownerSVGElement && box.width > 1 && box.right > wide + 1 && box.left > -1000 && !scrolls(one); });
  const figures = [...document.querySelectorAll("svg")].map(one => {
    const box = one.getBoundingClientRect();
    const cut = [...one.querySelectorAll("text")].filter(text => {
      const inner = text.getBoundingClientRect();
      return inner.left < box.left - 2 || inner.right > box.right + 2 || inner.top < box.top - 2
        || inner.bottom > box.bottom + 2; });
    const sizes = [...one.querySelectorAll("text")].map(text => text.getBoundingClientRect().height);
    return {name: one.closest("figure").id, width: box.width, height: box.height,
      cut: cut.map(text => text.textContent), smallest: Math.min(...sizes)}; });
  const found = {width: wide, scroll: document.documentElement.scrollWidth,
    height: document.documentElement.scrollHeight, figures, outside: outside.map(one => one.outerHTML.slice(0, 120)),
    requests: performance.getEntriesByType("resource").map(one => one.name),
    paper: getComputedStyle(document.body).backgroundColor};
  parent.postMessage(JSON.stringify(found), "*");
});
</script>
"""
FRAME = """<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<iframe src="page.html" width="{width}" height="{height}"></iframe><pre id="measured" hidden></pre>
<script>addEventListener("message", one => {{ document.getElementById("measured").textContent = one.data }})</script>
"""
_MEASURED = re.compile(r'<pre id="measured"[^>]*>(?P<json>.*?)</pre>', re.DOTALL)
_CONSOLE = re.compile(r"CONSOLE[:(].*")


@dataclass(frozen=True)
class Seen:
    """What a page turned out to be at one width."""

    measured: dict[str, Any]
    console: list[str]
    """What the browser had to say of it."""


def chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def look(page: Path, width: int, *, dark: bool = False) -> Seen:
    """Open a page in a frame of that many pixels, since a window has at least 500."""
    with tempfile.TemporaryDirectory() as place:
        frame = _framed(page, Path(place), width, 900)
        done = _run(Path(place), dark, ["--dump-dom", "--enable-logging=stderr", frame.as_uri()])
    found = _MEASURED.search(done.stdout)
    assert found is not None, done.stderr[-2000:]
    return Seen(json.loads(unescape(found["json"])), _CONSOLE.findall(done.stderr))


def screenshot(page: Path, width: int, image: Path, *, dark: bool = False, height: int | None = None) -> None:
    """Write a picture of the whole page, or of its first pixels."""
    tall = height or int(look(page, width).measured["height"])
    with tempfile.TemporaryDirectory() as place:
        frame = _framed(page, Path(place), width, tall)
        size = f"--window-size={max(width, 500)},{tall}"
        _run(Path(place), dark, [size, f"--screenshot={image.absolute()}", frame.as_uri()])


def _framed(page: Path, place: Path, width: int, height: int) -> Path:
    """Write a copy that can be measured (the page itself allows no script), and a frame around it."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (place / "page.html").write_text(text.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    (place / "frame.html").write_text(FRAME.format(width=width, height=height), encoding="utf-8")
    return place / "frame.html"


def _run(place: Path, dark: bool, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    binary = chromium()
    assert binary is not None, "no chromium is installed"
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [binary, *QUIET, f"--user-data-dir={place / 'profile'}", scheme, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


if __name__ == "__main__":
    for px in (1280, 390):
        for theme in ("light", "dark"):
            screenshot(Path(sys.argv[1]), px, Path(sys.argv[2]) / f"{px}_{theme}.png", dark=theme == "dark")
