"""The blocks of README and of the guides do what they show. Blocks of `whisperengine` lines are run, one after the other, in a folder for each
document; every other block must be listed here, with what is done with it or why it cannot be run: a new one fails until it is."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "store"))
from hub_server import Hub, Model  # noqa: E402
from support import COMMAND, LLAMA, PATIENCE, Case, main  # noqa: E402

ROOT = os.environ["SOURCE_ROOT"]
DOCUMENTS = ["README.md", "CONTRIBUTING.md"] + sorted("docs/" + name for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md"))
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct-4bit"  # on the loopback Hub a tiny llama of this name

# (document, first line): the method that checks it.
CHECKED = {
    ("README.md", "make run"): "make",
    ("README.md", "#include <whisperengine.h>"): "c",
    ("docs/configuration.md", "# a comment"): "settings",
    ("docs/guide.md", "# A model in this process, from ./models/mlx or the Hugging Face cache:"): "settings",
    ("docs/guide.md", "# The same chat on a cluster that outgrew this machine:"): "settings",
}
NOT_RUN = {
    ("README.md", "SmolLM2-135M-Instruct-4bit on cpu (amx, 2 threads)"): "a conversation with a real model of 93 MB; test_chat.py has its like",
    ("CONTRIBUTING.md", ".env, flags        → src/config/    settings: one table of keys, flags, variables, defaults and help"): "a drawing",
    ("CONTRIBUTING.md", "meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false"): "builds all; scripts/test.sh does the same",
    ("docs/cpu.md", "one layer, decode of one row                          who        barrier"): "a drawing",
    ("docs/cpu.md", "group 0 of rows 0..15                                                     group 1 ..."): "a drawing",
    ("docs/guide.md", "vllm serve Qwen/Qwen3-8B --port 8000 --api-key KEY"): "programs of others, on a machine with a GPU",
    ("docs/guide.md", 'whisperengine run: org/none cannot be used: no model "org/none" in models/mlx or in the Hugging Face cache ...'):
        "what is printed; test_remote.py runs it",
}
# What a reader does between two blocks of the text.
BEFORE = {("docs/guide.md", "whisperengine bench -p 128,512 --no-bandwidth --json > before.json"): "whisperengine use mlx"}
# `validate` knows by its name what the real model replies, so it is given the tiny one under another.
OTHER_MODEL = {("docs/testing.md", "whisperengine validate -m HuggingFaceTB/SmolLM2-135M-Instruct-4bit"): "org/tiny"}
FETCHES_ITSELF = ["docs/guide.md"]  # in the others the text takes the model for installed


def blocks(document):
    """(first line, the whole) of each fenced block."""
    with open(os.path.join(ROOT, document)) as f:
        parts = re.split(r"(?m)^```.*\n", f.read())
    if len(parts) % 2 == 0:
        raise AssertionError(document + " has a block that does not end")
    return [(text.split("\n")[0], text) for text in parts[1::2]]


def is_commands(text):
    return all(line.startswith("whisperengine ") for line in text.splitlines())


def prose(document):
    with open(os.path.join(ROOT, document)) as f:
        return re.split(r"(?m)^```.*\n", f.read())[::2]


class Docs(Case):
    def setUp(self):
        super().setUp()
        files = {}
        for name in os.listdir(LLAMA):
            with open(os.path.join(LLAMA, name), "rb") as f:
                files[name] = f.read()
        self.hub = Hub({MODEL: Model(files), **{name: Model(files) for name in OTHER_MODEL.values()}})
        self.addCleanup(self.hub.close)
        self.environment.update(HF_ENDPOINT=self.hub.endpoint, no_proxy="*", PATH=os.path.dirname(COMMAND) + ":" + self.environment["PATH"])

    def shell(self, text, folder):
        done = subprocess.run(["sh", "-e", "-c", text], cwd=folder, env={**self.environment, "HOME": folder}, input=b"/quit\n", capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, (text, done.stdout.decode(), done.stderr.decode()))
        return done.stdout.decode()

    def test_every_block_is_known(self):
        found = {(document, first) for document in DOCUMENTS for first, text in blocks(document) if not is_commands(text)}
        listed = set(CHECKED) | set(NOT_RUN)
        self.assertEqual(sorted(found - listed), [], "blocks of the documentation that tests/cli/test_docs.py does not know")
        self.assertEqual(sorted(listed - found), [], "blocks that tests/cli/test_docs.py lists, but that are not there")

    def test_commands(self):
        ran = 0
        for document in DOCUMENTS:
            folder = self.path(document.replace("/", "-"))
            os.mkdir(folder)
            if document not in FETCHES_ITSELF and any(is_commands(text) for _, text in blocks(document)):
                self.shell("whisperengine pull " + MODEL, folder)
            for first, text in blocks(document):
                if is_commands(text):
                    with self.subTest(document=document, block=first):
                        self.shell(BEFORE.get((document, first), ":"), folder)
                        other = OTHER_MODEL.get((document, first))
                        if other:
                            self.shell("whisperengine pull " + other, folder)
                        self.shell(text.replace(MODEL, other or MODEL), folder)
                        ran += 1
        self.assertGreaterEqual(ran, 5)

    def test_results(self):
        """What the guide says of its commands is so."""
        folder = self.path("guide")
        os.mkdir(folder)
        texts = [text for _, text in blocks("docs/guide.md") if is_commands(text)]
        self.shell(texts[0], folder)
        settings = os.path.join(folder, ".config", "whisperengine", ".env")
        with open(settings) as f:
            self.assertIn("LLM_CHAT_API_URL=mlx://%s\n" % MODEL, f.read())
        self.shell(texts[1].splitlines()[0], folder)
        with open(settings) as f:
            self.assertIn("LLM_CHAT_API_URL=http://gpu-server:8000/v1", f.read())
        self.assertTrue(os.path.exists(settings + ".backup"))

    def test_checked(self):
        for (document, first), method in CHECKED.items():
            for start, text in blocks(document):
                if start == first:
                    with self.subTest(document=document, block=first):
                        getattr(self, "check_" + method)(text)

    def check_make(self, text):
        """The targets exist; to run them would install packages and build."""
        if shutil.which("make"):
            for line in text.splitlines():
                done = subprocess.run([*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, timeout=PATIENCE)
                self.assertEqual((done.returncode, done.stderr), (0, b""), line)

    def check_c(self, text):
        """The includes, then statements as they would stand in a function."""
        if not shutil.which("cc"):
            self.skipTest("there is no cc")
        lines = text.splitlines()
        includes = "\n".join(line for line in lines if line.startswith("#include"))
        body = "\n".join(line for line in lines if not line.startswith("#include"))
        with open(self.path("block.c"), "w") as f:
            f.write("#include <stdio.h>\n%s\nint main(void)\n{\n%s\nreturn 0;\n}\n" % (includes, body))
        done = subprocess.run(["cc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(ROOT, "include"), "block.c"],
                              cwd=self.folder, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def check_settings(self, text):
        """Lines of .env, each of which is read without a complaint."""
        with open(self.path(".env"), "w") as f:
            f.write(text)
        shown = json.loads(self.good("config", "--json"))["settings"]
        origins = {row["origin"] for row in shown}
        self.assertEqual([row["problem"] for row in shown if row["problem"]], [])
        for number, line in enumerate(text.splitlines(), 1):
            name = re.match(r"(?:export )?([A-Z_]+)=", line)
            self.assertTrue(name or line.startswith("#"), line)
            if name:
                self.assertIn(".env:%d: %s" % (number, name.group(1)), origins)

    def test_inline(self):
        """`whisperengine ...` within the text names a command and flags that there are."""
        known = self.good("completion", "bash").decode()
        commands = re.search(r"(?m)^_whisperengine_commands='(.*)'$", known).group(1).split()
        found = 0
        for document in DOCUMENTS:
            for part in prose(document):
                for words in re.findall(r"`whisperengine ([^`]+)`", part):
                    words = words.split()
                    if words[0] in ("--version", "COMMAND"):
                        continue
                    self.assertIn(words[0], commands, (document, words))
                    text = self.good("help", words[0]).decode()
                    for flag in [w for w in words if w.startswith("-")]:
                        self.assertRegex(text, r"(?m)^ +(-\w, )?.*%s\b" % re.escape(flag), (document, words))
                    found += 1
        self.assertGreater(found, 15)


if __name__ == "__main__":
    main()
