"""What is wrong with a built site: links that lead nowhere, anchors that are not there, requests to outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}
"""Element → the attribute whose file a browser loads by itself."""
_NO_REQUEST = ("canonical", "prev", "next", "alternate")
"""Relations of a `link` that no browser follows by itself."""
_FROM_CSS = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])((?:https?:)?//[^'\")\s]+)")


@dataclass
class _Page(HTMLParser):
    """What a page of HTML names: anchors, links, and what it makes a browser load."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        wanted = _LOADS.get(tag)
        if wanted in given and given.get("rel") not in _NO_REQUEST:
            self.loaded.append(given[wanted])


def problems(site: Path) -> Iterator[str]:
    """Yield a line for each dead link, missing anchor and request to outside of a built site.

    Args:
        site: folder of HTML, style sheets and figures. Pages under `results/` that are no pages of the site (reports)
            are read as well.

    """
    pages = {file: _read(file) for file in sorted(site.rglob("*.html"))}
    for file, page in pages.items():
        where = file.relative_to(site).as_posix()
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    yield f"{where}: loads {link} from outside"
                continue
            path = unquote(parts.path)
            base = site if path.startswith("/") else file.parent
            to = (base / path.lstrip("/")).resolve() if path else file.resolve()
            to = to / "index.html" if to.is_dir() else to
            if not to.is_file():
                yield f"{where}: {link} leads nowhere"
            elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].ids:
                yield f"{where}: {link}: there is no such anchor"
    for file in sorted(site.rglob("*.css")):
        for url in _FROM_CSS.findall(file.read_text(encoding="utf-8", errors="replace")):
            yield f"{file.relative_to(site).as_posix()}: loads {url} from outside"


def _read(file: Path) -> _Page:
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page
