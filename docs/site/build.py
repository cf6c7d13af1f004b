"""The documentation as a site: `just docs` builds it into build/site, `just docs --serve` shows it on 127.0.0.1.

README.md and docs/ become its pages, the API comes from the docstrings, which are read and not imported. A dead link, a
missing anchor or anything that a page would load from outside fails the build. No network is needed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from api import SOURCE, index, packages
from links import problems
from pages import REPOSITORY, RESULTS, as_page, as_source, assets, linked, navigation, pages, place_of, results_page

HERE = Path(__file__).resolve().parent
BUILD = REPOSITORY / "build"
HOST = "127.0.0.1"


def stage(folder: Path) -> None:
    """Write the pages and the settings of the site into a folder, as the generator reads them."""
    shutil.rmtree(folder, ignore_errors=True)
    written: dict[PurePosixPath, str] = {}
    shown: set[Path] = set()
    for page in pages():
        text = (REPOSITORY / page.source).read_text(encoding="utf-8")
        written[page.place] = as_page(page, text)
        shown |= {one for one in linked(page, text) if one.parts[0] not in ("docs", "README.md")}
    written.setdefault(RESULTS, results_page())
    for source in sorted(shown):
        if (REPOSITORY / source).is_file():
            written[place_of(source)] = as_source(source)
    nav: list[object] = [
        {section: [str(place) for place in places]} for section, places in navigation([*written]).items() if places
    ]
    public = packages()
    nav.append({"API": ["api/index.md", *(str(one.place) for one in public)]})
    written |= {one.place: one.page() for one in public} | {PurePosixPath("api/index.md"): index()}
    for place, text in written.items():
        file = folder / "pages" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for source in assets():
        file = folder / "pages" / place_of(source)
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / source, file)
    shutil.copyfile(HERE / "site.css", folder / "pages" / "site.css")
    settings = (HERE / "zensical.toml").read_text(encoding="utf-8").replace("SOURCE", str(SOURCE.parent))
    listed = json.dumps(nav).replace('": [', '" = [')  # inline tables of TOML are objects of JSON but for that
    head, project, rest = settings.partition("[project]\n")
    (folder / "zensical.toml").write_text(f"{head}{project}nav = {listed}\n{rest}", encoding="utf-8")


def build(work: Path, site: Path) -> list[str]:
    """Build the site; return what is wrong with it.

    Args:
        work: folder for what the generator reads.
        site: folder where the site goes; whatever was there is gone.

    """
    stage(work)
    shutil.rmtree(site, ignore_errors=True)
    words = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "--config-file",
        str(work / "zensical.toml"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode != 0 or not (work / "site" / "index.html").is_file():
        return said or [f"zensical ended with code {done.returncode}"]
    shutil.move(work / "site", site)
    return list(problems(site))


def serve(site: Path, port: int) -> None:
    """Show the site on this machine alone, until Ctrl-C."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer((HOST, port), handler) as server:
        print(f"http://{HOST}:{server.server_address[1]}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs="?", type=int, const=8000, metavar="PORT", help="then show it (default: 8000)")
    given = parser.parse_args()
    missing = [name for name in ("zensical", "mkdocstrings_handlers") if find_spec(name) is None]
    if missing:
        print("error: the site needs the extra docs: pip install -c constraints.txt -e '.[docs]'", file=sys.stderr)
        return 2
    wrong = build(BUILD / "docs", BUILD / "site")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if wrong:
        return 1
    site = BUILD / "site"
    here = site.relative_to(REPOSITORY)
    print(f"{len(list(site.rglob('*.html')))} pages in {here}; open {here}/index.html")
    if given.serve is not None:
        serve(site, given.serve)
    return 0


if __name__ == "__main__":
    sys.exit(main())
