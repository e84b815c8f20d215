"""Renders random templates by Jinja2, as transformers sets it up, and by us, and shows where they differ.

Usage: compare_with_jinja.py RENDER_LINES [TEMPLATES [SEED]]
RENDER_LINES is the program that render_lines.c becomes."""
import collections
import json
import random
import re
import subprocess
import sys
import warnings

import make_jinja_cases as cases
import random_templates

warnings.simplefilter("ignore")
ADDRESS = re.compile(r" at 0x|<function|<built-in|<bound|<class|<generator|<Cycler|<method|object>|<reversed|<filter|<map")
ODD = re.compile("on line|builtin_function|function object|jinja2|markupsafe")


def same(expected, found):
    if expected[1] is not None:
        return found.get("text") == expected[1]
    if "error" not in found:
        return False
    kind, detail = expected[2:]
    detail = str(detail)
    if kind == "syntax":
        return f"line {detail}," in found["error"]
    if kind == "undefined":  # what Python names in other words
        detail = detail.replace("transformers.utils.chat_template_utils.Template", "")
        return ODD.search(detail) is not None or detail in found["error"] or detail.replace("None has", "None object has") in found["error"]
    return kind == "other" or detail in found["error"]


def main():
    program, count, seed = sys.argv[1], int((sys.argv[2:] + ["2000"])[0]), int((sys.argv[3:] + ["1"])[0])
    rng = random.Random(seed)
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    totals = collections.Counter()
    for number in range(count):
        template = (random_templates.random_expressions if number % 2 else random_templates.random_template)(rng)
        expected = cases.render(template)
        if expected[1] is not None and ADDRESS.search(expected[1]):
            continue
        line = json.dumps({"template": template, "variables": cases.VARIABLES})
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            sys.exit(f"it has died, status {process.wait()}, of this line:\n{line}")
        found = json.loads(answer)
        totals["compared"] += 1
        totals["errors"] += expected[1] is None
        if not same(expected, found):
            totals["differ"] += 1
            print(f"{template!r}\n  jinja: {expected[1:]!r}\n  ours: {found!r}\n")
    process.stdin.close()
    print(dict(totals))
    sys.exit(totals["differ"] > 0)


if __name__ == "__main__":
    main()
