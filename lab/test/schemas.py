"""Checks JSON against docs/schemas. schemas.py SCHEMA [FILE]: each line, or the whole of stdin or the file.

The schemas allow fields that they do not know, since fields may be added; here a field that no schema describes is an
error, and so is one that docs/reference/json.md does not name."""

import json
import re
import sys
from functools import cache
from pathlib import Path

import jsonschema

DOCS = Path(__file__).resolve().parents[2] / "docs"


def local(schema, file):
    """The schema with its references into other files as references into one."""
    if isinstance(schema, list):
        return [local(part, file) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: local(part, file) for name, part in schema.items() if name != "$schema"}
    if "$ref" in made:
        other, _, place = made["$ref"].partition("#")
        made["$ref"] = f"#/$defs/{other.removesuffix('.json') or file}{place}"
    return made


def strict(schema, whole=True):
    """The schema, with every object closed: where it is described, or where a definition is used as the whole of one."""
    if isinstance(schema, list):
        return [strict(part, whole) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: defined(part) if name == "$defs" else strict(part, name != "allOf") for name, part in schema.items()}
    if whole and ("$ref" in made or isinstance(made.get("properties"), dict) and made.get("type")):
        made["unevaluatedProperties"] = False
    return made


def defined(schemas):
    """These schemas, each open, and closed below."""
    return {name: strict(schema, whole=False) for name, schema in schemas.items()}


@cache
def schemas():
    return defined({file.stem: local(json.loads(file.read_text()), file.stem) for file in sorted((DOCS / "schemas").glob("*.json"))})


@cache
def validator(name):
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "unevaluatedProperties": False, "$defs": schemas()})


def wrong(name, value):
    """Why the value is not as the schema says; empty if it is."""
    error = jsonschema.exceptions.best_match(validator(name).iter_errors(value))
    return error and f"{name}{error.json_path.removeprefix('$')}: {error.message[:300]}"


def names(schema):
    """All fields that a schema has."""
    if isinstance(schema, list):
        for part in schema:
            yield from names(part)
    elif isinstance(schema, dict):
        if isinstance(fields := schema.get("properties"), dict) and schema.get("type"):
            yield from fields
        for part in schema.values():
            yield from names(part)


def unnamed():
    """The fields that the page does not name."""
    page = (DOCS / "reference/json.md").read_text()
    words = set(re.findall(r"\w+", " ".join(re.findall(r"```json.*?```|`[^`]+`", page, re.S))))
    return sorted(set(names(list(schemas().values()))) - words)


def main():
    if sys.argv[1:] == ["--page"]:
        left = unnamed()
        sys.exit(f"docs/reference/json.md does not name {', '.join(left)}" if left else 0)
    name, *files = sys.argv[1:]
    text = Path(files[0]).read_text() if files else sys.stdin.read()
    try:
        values = [json.loads(text)]
    except json.JSONDecodeError:
        values = [json.loads(line) for line in text.splitlines()]
    if not values:
        sys.exit("there is no JSON")
    sys.exit("; ".join(filter(None, (wrong(name, value) for value in values))) or 0)


if __name__ == "__main__":
    main()
