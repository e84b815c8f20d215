"""The manual pages: one for each command, with every flag and variable, and nothing that man or mandoc warns of."""
import json
import os
import re
import shutil
import subprocess
import unittest

from support import Case, PATIENCE, main

BUILD = os.environ["BUILD_ROOT"]


class Manual(Case):
    def commands(self):
        return re.search(r"^_whisperengine_commands='(.*)'$", self.good("completion", "bash").decode(), re.M).group(1).split()

    def pages(self):
        yield "whisperengine", self.good("help", "--man")
        for name in self.commands():
            yield "whisperengine-" + name, self.good("help", "--man", name)

    def shown(self, page):
        """As plain text, without folding and hyphenation."""
        argv = ["mandoc", "-Tutf8", "-Owidth=500"] if shutil.which("mandoc") else ["man", "-l", "-"]
        done = subprocess.run(argv, input=page, capture_output=True, timeout=PATIENCE, env={**self.environment, "MANWIDTH": "500", "MANOPT": "--nh"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return re.sub(r".\x08", "", done.stdout.decode())

    @unittest.skipUnless(shutil.which("mandoc") or shutil.which("man"), "neither man nor mandoc is installed")
    def test_content(self):
        pages = {name: self.shown(page) for name, page in self.pages()}
        for name in self.commands():
            page, text = pages["whisperengine-" + name], self.good("help", name).decode()
            self.assertIn("whisperengine-%s(1)" % name, pages["whisperengine"])
            self.assertTrue(page.split()[0].startswith("WHISPERENGINE-%s(1)" % name.upper()), page[:100])
            flags = re.findall(r"^  (?:  |-\w)[ ,]+(--[\w-]+)", text, re.M)
            self.assertIn("--help", flags)
            for flag in flags:
                self.assertRegex(page, r"(?m)^ +(-\w, )?%s\b" % flag)
            for variable in re.findall(r"\[([A-Z_]+)\]", text):
                self.assertIn(variable, page)
            for line in text.partition("\nExample")[2].splitlines()[1:]:
                self.assertIn(line.strip(), page)
        variables = set(re.findall(r"^\| `([A-Z_]+)`", self.good("config", "--markdown").decode(), re.M))
        self.assertGreater(len(variables), 30)
        for variable in variables:
            self.assertIn(variable, pages["whisperengine"])

    @unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc(self):
        for name, page in self.pages():
            done = subprocess.run(["mandoc", "-Tlint"], input=page, capture_output=True, timeout=PATIENCE)
            self.assertEqual((done.stdout.decode(), done.stderr.decode()), ("", ""), name)

    @unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "man or groff is not installed")
    def test_man(self):
        for name, page in self.pages():
            done = subprocess.run(["man", "--warnings", "-l", "-"], input=page, capture_output=True, timeout=PATIENCE,
                                  env={**self.environment, "MANWIDTH": "80"})
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""), name)
            self.assertGreater(len(done.stdout), 500)

    def test_installed(self):
        with open(os.path.join(BUILD, "meson-info", "intro-installed.json")) as f:
            places = {os.path.basename(path): place for path, place in json.load(f).items()}
        for name in ["whisperengine"] + ["whisperengine-" + name for name in self.commands()]:
            self.assertIn(name + ".1", places, "cli/meson.build does not install the page of a command")
            self.assertTrue(places[name + ".1"].endswith("/man1/%s.1" % name))

    def test_reproducible(self):
        env = {"SOURCE_DATE_EPOCH": "86400"}
        self.assertIn(b"1970-01-02", self.good("help", "--man", "run", env=env))
        self.assertEqual(self.good("help", "--man", env=env), self.good("help", "--man", env=env))


if __name__ == "__main__":
    main()
