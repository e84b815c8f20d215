"""completion: each shell that is installed completes commands, flags and values."""
import os
import shutil
import subprocess
import unittest

from support import Case, COMMAND, PATIENCE, Terminal, main

BASH = """
source <("$0" completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_whisperengine
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Completion(Case):
    def setUp(self):
        super().setUp()
        self.install("org/alpha")
        self.install("other/$(touch hacked)")
        self.environment["PATH"] = os.path.dirname(COMMAND) + ":" + self.environment["PATH"]
        os.makedirs(self.path("a folder"))
        with open(self.path("a file.gguf"), "w"):
            pass

    def output(self, *argv):
        done = subprocess.run(argv, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode().splitlines()

    def bash(self, *words):
        return [line for line in self.output("bash", "-c", BASH, COMMAND, COMMAND, *words) if line]

    @unittest.skipUnless(shutil.which("bash"), "bash is not installed")
    def test_bash(self):
        commands = self.bash("")
        self.assertIn("run", commands)
        self.assertIn("--version", commands)
        self.assertEqual(self.bash("r"), ["run", "remove", "render"])
        self.assertEqual(self.bash("tok"), ["tokenize"])
        self.assertEqual(self.bash("run", "--te"), ["--temp"])
        self.assertEqual(self.bash("show", "--te"), [])
        self.assertIn("--help", self.bash("list", "-"))
        self.assertEqual(self.bash("run", "--device", ""), ["cpu", "cuda", "mlx"])
        self.assertEqual(self.bash("run", "--device", "=", ""), ["cpu", "cuda", "mlx"])
        self.assertEqual(self.bash("run", "--device", "="), ["cpu", "cuda", "mlx"])
        self.assertEqual(self.bash("chat", "--precision", "f"), ["fast"])
        self.assertEqual(self.bash("run", "-m", "or"), ["org/alpha"])
        self.assertEqual(self.bash("run", "-m", "a"), ["a folder"])
        self.assertEqual(self.bash("show", ""), ["org/alpha", "other/$(touch hacked)", "a folder", "models"])
        self.assertEqual(sorted(self.bash("convert", "a")), ["a file.gguf", "a folder"])
        self.assertEqual(self.bash("convert", "--dtype", "b"), ["bfloat16"])
        self.assertEqual(self.bash("help", "be"), ["bench"])
        self.assertEqual(self.bash("use", "o"), ["ollama", "org/alpha", "other/$(touch hacked)"])
        self.assertEqual(self.bash("use", "mlx"), ["mlx"])
        self.assertEqual(self.bash("completion", ""), ["bash", "zsh", "fish"])
        self.assertEqual(self.bash("run", "-p", ""), [])
        self.assertEqual(self.bash("nonsense", ""), [])
        self.assertFalse(os.path.exists(self.path("hacked")))

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        def fish(line):
            found = self.output("fish", "--no-config", "-c", "source (whisperengine completion fish | psub); complete -C '%s'" % line)
            return [line.split("\t")[0] for line in found]
        self.assertEqual(fish("whisperengine tok"), ["tokenize"])
        self.assertEqual(fish("whisperengine run --te"), ["--temp", "--temperature"])
        self.assertEqual(fish("whisperengine run --device "), ["cpu", "cuda", "mlx"])
        self.assertEqual(fish("whisperengine run -m or"), ["org/alpha"])
        self.assertIn("org/alpha", fish("whisperengine show o"))
        self.assertEqual(fish("whisperengine help be"), ["bench"])
        self.assertIn("org/alpha", fish("whisperengine use o"))
        self.assertIn("ollama", fish("whisperengine use o"))
        self.assertEqual(fish("whisperengine completion z"), ["zsh"])
        self.assertFalse(os.path.exists(self.path("hacked")))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        with open(self.path("_whisperengine"), "wb") as f:
            f.write(self.good("completion", "zsh"))
        start = "fpath=($PWD $fpath); PS1='$ '; autoload -U compinit; compinit -u -d $PWD/dump; unsetopt beep; echo rea''dy\r"
        for typed, completed in [("whisperengine tok", "whisperengine tokenize"), ("whisperengine run --tem", "whisperengine run --temp"),
                                 ("whisperengine run --device cu", "whisperengine run --device cuda"),
                                 ("whisperengine show org/al", "whisperengine show org/alpha"),
                                 ("whisperengine use org/al", "whisperengine use org/alpha"), ("whisperengine use oll", "whisperengine use ollama"),
                                 ("whisperengine help be", "whisperengine help bench")]:
            t = Terminal(["zsh", "-f", "-i"], self.folder, self.environment, columns=200)
            self.addCleanup(t.close)
            t.send(start)
            t.wait_for("ready")
            t.send(typed)
            t.wait_for("$ " + typed)
            t.send("\t")
            t.wait_for("$ " + completed)

    def test_usage(self):
        self.bad(2, "completion", contains="something is missing: whisperengine completion bash|zsh|fish")
        self.bad(2, "completion", "tcsh", contains="bash, zsh, fish")
        self.bad(2, "completion", "bash", "zsh", contains="one word too many")


if __name__ == "__main__":
    main()
