"""Builds the pages as a static site that takes nothing from the network, and checks every link of it.

python3 docs/site/build.py [FOLDER]     (target/site)

It takes mdbook and Graphviz's dot: pip install -r docs/site/requirements.txt, apt-get install graphviz.
docs/SUMMARY.md lists the pages. Prints one line a check; exit 1 if one fails."""

import html
import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

here = Path(__file__).resolve().parent
docs, root = here.parent, here.parents[1]
repository = re.search(r'^git-repository-url = "(.*)"', (here / "book.toml").read_text(), re.M)[1]
failed = False

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
OUTSIDE = re.compile(r"```.*?^ *```|`[^`\n]*`", re.M | re.S)


def tell(what, problems):
    global failed
    failed |= bool(problems)
    print(f"FAIL  {what}: {'; '.join(problems)}" if problems else f"ok    {what}")


def listed():
    """The pages of SUMMARY.md, as paths from the repository's folder."""
    links = [link for _, link, _ in LINK.findall((docs / "SUMMARY.md").read_text())]
    return [Path(os.path.normpath(Path("docs") / link)) for link in links]


def drawing(match):
    """A Mermaid graph of arrows alone, drawn by dot in the colours of the page."""
    arrows = re.findall(r"^ *([\w-]+) --> ([\w-]+)$", match[1], re.M)
    if len(arrows) + 1 != len(match[1].strip().splitlines()):
        raise SystemExit(f"build.py: this Mermaid graph has more than arrows: {match[1]}")
    graph = "".join(f'"{a}" -> "{b}"\n' for a, b in arrows)
    style = 'bgcolor=none ranksep=0.4 nodesep=0.15 node [shape=box style=rounded fontname="sans-serif" fontsize=13 height=0.35]'
    drawn = subprocess.run(
        ["dot", "-Tsvg"], input=f"digraph {{ {style}\n{graph} }}", capture_output=True, text=True, check=True
    ).stdout
    drawn = drawn[drawn.index("<svg"):].replace("black", "currentColor")
    drawn = re.sub(r"<title>.*?</title>|<!--.*?-->|\n", "", drawn, flags=re.S)
    words = ", ".join(f"{a} → {b}" for a, b in arrows)
    return f'<figure role="img" aria-label="{html.escape(words)}">{drawn}</figure>\n'


def page(path, pages):
    """A page's text: links to what is not in the site go to the repository."""
    def link(match):
        there, _, anchor = match[2].partition("#")
        if re.match(r"\w+:", match[2]) or not there:
            return match[0]
        there = Path(os.path.normpath(path.parent / there))
        if there in pages and there.name == "README.md":  # which mdbook makes an index of
            return match[0].replace("README.md", "index.html")
        if there in pages or there.suffix == ".svg" or not (root / there).exists():
            return match[0]
        kind = "tree" if (root / there).is_dir() else "blob"
        return f"{match[1]}{repository}/{kind}/main/{there}{anchor and '#' + anchor}{match[3]}"

    text = re.sub(r"```mermaid\n(.*?)```\n", drawing, (root / path).read_text(), flags=re.S)
    parts, at = [], 0
    for code in OUTSIDE.finditer(text):
        parts += [LINK.sub(link, text[at:code.start()]), code[0]]
        at = code.end()
    return "".join(parts) + LINK.sub(link, text[at:])


class Page(html.parser.HTMLParser):
    """What a page links, loads and can be linked at."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif tag in ("link", "script", "img", "iframe"):
            self.loads += [attributes[name] for name in ("href", "src") if attributes.get(name)]


def broken(site):
    """The links that lead nowhere, and what is loaded from elsewhere."""
    pages = {file: Page(file.read_text()) for file in site.rglob("*.html")}
    links, loads = [], []
    for file, content in sorted(pages.items()):
        for target in content.links + content.loads:
            url = urllib.parse.urlsplit(target)
            if url.scheme or url.netloc:
                if target in content.loads:
                    loads.append(f"{file.relative_to(site)} loads {target}")
                continue
            there = (file.parent / urllib.parse.unquote(url.path)).resolve() if url.path else file
            there = there / "index.html" if there.is_dir() else there
            if not there.exists():
                links.append(f"{file.relative_to(site)}: there is no {target}")
            elif url.fragment and there in pages and urllib.parse.unquote(url.fragment) not in pages[there].ids:
                links.append(f"{file.relative_to(site)}: {target} has no such heading")
    for sheet in site.rglob("*.css"):
        loads += [f"{sheet.name} loads {url}" for url in re.findall(r"url\([\"']?(https?:[^)]*)", sheet.read_text())]
    return links, loads


def main():
    lacking = [tool for tool in ("mdbook", "dot") if not shutil.which(tool)]
    if lacking:
        raise SystemExit(f"build.py: there is no {' and no '.join(lacking)}; the head of this file says what to install")
    out = Path(sys.argv[1] if len(sys.argv) > 1 else root / "target/site").resolve()
    pages = listed()
    there = {file.relative_to(root) for file in [*root.glob("*.md"), *docs.rglob("*.md"), *root.glob("crates/*.md")]}
    tell("docs/SUMMARY.md names every page", [f"not {path}" for path in sorted(there - {*pages} - {Path("docs/SUMMARY.md")})])
    tell("and every page that it names exists", [f"there is no {path}" for path in pages if not (root / path).exists()])
    if failed:
        return
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder) / "src"
        for path in pages:
            (src / path).parent.mkdir(parents=True, exist_ok=True)
            (src / path).write_text(page(path, pages))
        summary = LINK.sub(lambda m: f"{m[1]}{os.path.normpath('docs/' + m[2])}{m[3]}", (docs / "SUMMARY.md").read_text())
        (src / "SUMMARY.md").write_text(summary)
        shutil.copytree(docs / "figures", src / "docs/figures")
        for file in ("book.toml", "look.css"):
            shutil.copy(here / file, folder)
        built = subprocess.run(["mdbook", "build", "--dest-dir", out, folder], capture_output=True, text=True)
        said = [line.strip() for line in built.stderr.splitlines() if re.search(r"WARN|ERROR", line)]
        tell("mdbook builds the site", said or ([built.stderr] if built.returncode else []))
    if not failed:
        links, loads = broken(out)
        tell("every link of the site leads somewhere", links)
        tell("no page loads anything from the network", loads)


main()
sys.exit(failed)
