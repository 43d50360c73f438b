"""The pages: both READMEs have the same commands, and every link leads somewhere. argv: the repository's folder."""
import pathlib, re, sys

root = pathlib.Path(sys.argv[1])


def check(what, wrong):
    print(f"FAIL  {what}: {'; '.join(wrong)}" if wrong else f"ok    {what}")


def split(page):
    """The fenced blocks of a page, as (language, lines), and the text around them."""
    blocks, text, block = [], [], None
    for line in (root / page).read_text().splitlines():
        if line.startswith("```"):
            if block is None:
                block = (line[3:], [])
                blocks.append(block)
            else:
                block = None
        else:
            (text if block is None else block[1]).append(line)
    return blocks, "\n".join(text)


def commands(blocks):
    """Shell lines without their comments, which are translated; other blocks as they are."""
    for language, lines in blocks:
        for line in lines:
            yield re.sub(r"\s+#\s.*", "", line) if language == "sh" else line


def differences(ours, theirs):
    """What is in one list and not in the other, by line."""
    return [f"{a!r} and {b!r}" for a, b in zip(ours, theirs) if a != b][:3] or (
        [f"{len(ours)} and {len(theirs)}"] if len(ours) != len(theirs) else [])


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)", split(page)[1], re.M)
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links():
    for page in sorted({*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("crates/*.md")}):
        _, text = split(page.relative_to(root))
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
            if re.match(r"\w+:", link):
                continue
            path, _, anchor = link.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                yield f"{page.relative_to(root)}: there is no {path}"
            elif anchor and anchor not in anchors(there.relative_to(root)):
                yield f"{page.relative_to(root)}: {link} has no such heading"


def mentions():
    """Pages that code, help texts and the other pages name by their path."""
    kinds = ("rs", "sh", "py", "nft", "toml", "md")
    folders = ("crates", "tools", "lab", "docs")
    files = [*root.glob("*.md"), *(file for folder in folders for kind in kinds for file in root.glob(f"{folder}/**/*.{kind}"))]
    for file in sorted(files):
        for page in re.findall(r"\bdocs/[\w/-]+\.\w+", file.read_text(errors="replace")):
            if not (root / page).exists():
                yield f"{file.relative_to(root)}: there is no {page}"


def untested():
    """Tests that the threat model names, as `file::test`, and that are not there."""
    files = [file for folder in ("crates", "tools", "lab") for kind in ("rs", "py") for file in (root / folder).glob(f"**/*.{kind}")]
    for file, test in re.findall(r"`([\w./-]+\.(?:rs|py))::([^`]+)`", (root / "docs/security.md").read_text()):
        wanted = f"fn {test}(" if file.endswith(".rs") else test
        if not any(f"/{there}".endswith(f"/{file}") and wanted in there.read_text() for there in files):
            yield f"{file} has no {test}"


english, chinese = split("README.md"), split("README.zh-CN.md")
check("the READMEs have the same commands and output", differences(*(list(commands(page[0])) for page in (english, chinese))))
for what, pattern in (("sections", r"^(#+) "), ("links", r"\]\(((?!README)[^)]+)\)")):
    check(f"the READMEs have the same {what}", differences(*(sorted(re.findall(pattern, page[1], re.M)) for page in (english, chinese))))
code = [set(re.findall(r"`([^`\n]+)`", page[1])) for page in (english, chinese)]
check("the READMEs name the same options, files and types", [f"only in one: {word}" for word in sorted(code[0] ^ code[1])])
check("every link of every page leads somewhere", list(links()))
check("every page that is named exists", list(mentions()))
check("every test that the threat model names is there", list(untested()))
