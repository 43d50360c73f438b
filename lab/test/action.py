"""Runs action.yml as a runner would, without the steps that are others' actions; argv: the repository, NAME=VALUE ….

Prints what the steps print; the exit code is that of the step that failed. The examples' workflow must give it inputs that
it has."""

import os
import pathlib
import re
import subprocess
import sys

import yaml

root = pathlib.Path(sys.argv[1])
action = yaml.safe_load((root / "action.yml").read_text())
given = dict(word.split("=", 1) for word in sys.argv[2:])
inputs = {name: given.get(name, str(what.get("default", ""))) for name, what in action["inputs"].items()}
missing = [name for name, what in action["inputs"].items() if what.get("required") and not inputs[name]]
assert not missing and set(given) <= set(inputs), (missing, given)
workflow = yaml.safe_load((root / "examples/aioice/workflow.yml").read_text())
used, = (step["with"] for job in workflow["jobs"].values() for step in job["steps"] if "pinhole" in step.get("uses", ""))
assert set(used) <= set(inputs) and "command" in used, used


def filled(text):
    """The text with what stands for an input, or for the folder of the action."""
    text = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: inputs[m[1]], text)
    return text.replace("${{ github.action_path }}", str(root))


assert action["runs"]["using"] == "composite"
for step in action["runs"]["steps"]:
    if "uses" in step:
        print(f"left out: {step['uses']}: {filled(step['with']['path'])}")
        continue
    environment = os.environ | {name: filled(value) for name, value in step.get("env", {}).items()}
    run = filled(step["run"])
    assert "${{" not in run and not any("${{" in value for value in environment.values()), run
    code = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run], env=environment).returncode
    if code:
        sys.exit(code)
