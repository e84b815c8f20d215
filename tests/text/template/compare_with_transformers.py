"""Renders random chat requests with every template of a folder, by transformers and by us, and shows where they differ.

Usage: compare_with_transformers.py RENDER_LINES FOLDER [REQUESTS [SEED]]
RENDER_LINES is the program that render_lines.c becomes, FOLDER has *.jinja files."""
import json
import os
import random
import subprocess
import sys

import random_requests
import transformers_oracle as oracle


def ours(process, template, request):
    line = json.dumps({"template": template, "request": json.dumps(request, ensure_ascii=random.random() < 0.5)})
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        sys.exit(f"it has died, status {process.wait()}, of this line:\n{line}")
    return json.loads(answer)


def same(expected, found):
    if isinstance(expected, str):
        return found.get("text") == expected
    return "error" in found and (expected is None or found["error"].endswith(expected["raised"]))


def main():
    program, folder = sys.argv[1:3]
    count, seed = (int(n) for n in (sys.argv[3:] + ["200", "1"])[:2]) if len(sys.argv) > 4 else (int((sys.argv[3:] + ["200"])[0]), 1)
    rng = random.Random(seed)
    tokenizer = oracle.plain_tokenizer()
    templates = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".jinja"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                templates[name] = file.read()
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    wrong = failed = total = 0
    for number in range(count):
        request = random_requests.random_request(rng)
        for name, source in templates.items():
            expected, found = oracle.apply(tokenizer, request, chat_template=source), ours(process, source, request)
            total += 1
            failed += not isinstance(expected, str)
            if not same(expected, found):
                wrong += 1
                print(f"{name}, request {number}\n  {json.dumps(request, ensure_ascii=False)}\n  transformers: {expected!r}\n  ours: {found!r}\n")
    process.stdin.close()
    print(f"{total} prompts compared, {failed} of them errors; {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
