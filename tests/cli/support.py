"""Runs the built command: with pipes, and on a pseudo-terminal whose screen is interpreted."""
import codecs
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unicodedata
import unittest

COMMAND = os.environ["WHISPERENGINE"]
MODELS = os.environ["TEST_MODELS"]
LLAMA = os.path.join(MODELS, "llama-chat")
LIBEDIT_LEAKS = {
    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":fast_unwind_on_malloc=0",
    "LSAN_OPTIONS": "print_suppressions=0:suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "libedit.supp"),
}
PATIENCE = 120  # seconds; machines are slow, and sanitizers slower


class Case(unittest.TestCase):
    """A folder of its own for each test, and an environment that nothing outside it reaches."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="we-cli-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.folder, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "xterm",
            **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k == "LD_LIBRARY_PATH"}}
        self.maxDiff = None

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def install(self, name, model=LLAMA, **changes):
        """A model as ORG/NAME below ./models, its config.json changed; its directory."""
        directory = self.path("models", "mlx", name)
        shutil.copytree(model, directory)
        if changes:
            file = os.path.join(directory, "config.json")
            with open(file) as f:
                config = json.load(f)
            config.update(changes)
            with open(file, "w") as f:
                json.dump(config, f)
        return directory

    def run_command(self, *args, input=b"", env={}, stdout=subprocess.PIPE):
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run([COMMAND, *args], input=input, stdout=stdout, stderr=subprocess.PIPE, cwd=self.folder,
                              env={**self.environment, **env}, timeout=PATIENCE)
        done.errors = done.stderr.decode("utf-8", "replace")
        return done

    def good(self, *args, **kw):
        """Standard output of a call that must succeed without a word on standard error."""
        done = self.run_command(*args, **kw)
        self.assertEqual((done.returncode, done.errors), (0, ""), args)
        return done.stdout

    def bad(self, status, *args, contains, **kw):
        """A call that must fail with `status`, print nothing on standard output, and say each of `contains`."""
        done = self.run_command(*args, **kw)
        self.assertEqual(done.returncode, status, (args, done.errors))
        self.assertEqual(done.stdout, b"", args)
        for text in [contains] if isinstance(contains, str) else contains:
            self.assertIn(text, done.errors, args)
        return done.errors

    def terminal(self, *args, **kw):
        terminal = Terminal([COMMAND, *args], self.folder, {**self.environment, **LIBEDIT_LEAKS, **kw.pop("env", {})}, **kw)
        self.addCleanup(terminal.close)
        return terminal


class Screen:
    """What an xterm would show: as much of it as a line editor and plain text need."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[]]  # every line since the start: what scrolled away is kept
        self.row = self.column = 0
        self.pending = ""  # an escape sequence that has not ended
        self.modes = set()
        self.raw = ""

    def feed(self, text):
        self.raw += text
        text = self.pending + text
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = re.compile(r"\x1b(\[([?>]?)([\d;]*)([@-~])|\][^\x07]*\x07|[()].|[=>78M])").match(text, at)
                if not match:
                    break
                if match.group(4):
                    self.sequence(match.group(2), match.group(3), match.group(4))
                at = match.end()
            else:
                self.character(text[at])
                at += 1
        self.pending = text[at:]

    def line(self):
        while len(self.lines) <= self.row:
            self.lines.append([])
        return self.lines[self.row]

    def character(self, c):
        if c == "\n":
            self.row += 1
            self.line()
        elif c == "\r":
            self.column = 0
        elif c == "\b":
            self.column = max(0, min(self.column, self.columns) - 1)
        elif c == "\t":
            self.column = min(self.columns - 1, (self.column // 8 + 1) * 8)
        elif c >= " ":
            width = 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
            if width == 0:
                return
            if self.column + width > self.columns:
                self.row += 1
                self.column = 0
            line = self.line()
            line.extend(" " * (self.column - len(line)))
            line[self.column:self.column + width] = [c] + [""] * (width - 1)
            self.column += width

    def sequence(self, private, numbers, final):
        n = [int(x) for x in numbers.split(";") if x] or [0]
        count = n[0] or 1
        line = self.line()
        if private == "?":
            self.modes = self.modes | {n[0]} if final == "h" else self.modes - {n[0]}
        elif final == "A":
            self.row = max(0, self.row - count)
        elif final == "B":
            self.row += count
        elif final == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif final == "D":
            self.column = max(0, self.column - count)
        elif final == "G":
            self.column = count - 1
        elif final == "K":
            del line[self.column:]
        elif final == "J":
            del line[self.column:]
            del self.lines[self.row + 1:]
        elif final == "P":
            del line[self.column:self.column + count]
        elif final == "@":
            line[self.column:self.column] = " " * count
            del line[self.columns:]
        elif final not in "mhl":
            raise AssertionError("unknown sequence: %r %r" % (numbers, final))

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)


class Terminal:
    """A program on a pseudo-terminal, in a session of its own, as in a window."""

    def __init__(self, argv, folder, environment, rows=24, columns=80, stdout=None):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.master = master
        self.screen = Screen(rows, columns)
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave, cwd=folder, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def pump(self, seconds):
        """Reads what the program writes; False at its end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.screen.feed(self.decoder.decode(data))
        return bool(data)

    def send(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end or not self.pump(1):
                raise AssertionError("%s did not come; the screen:\n%s\nraw: %r" % (what, self.screen.text(), self.screen.raw[-2000:]))

    def wait_for(self, text, count=1):
        self.wait(lambda: self.screen.text().count(text) >= count, "%r" % text)

    def wait_prompt(self, count):
        """Until the editor has asked `count` times: each time it turns bracketed paste on, and draws its prompt."""
        self.wait(lambda: len(re.findall(r"\x1b\[\?2004h[^>]*> ", re.sub(r"\x1b\[[\d;]*m", "", self.screen.raw))) >= count,
                  "prompt %d" % count)

    def resize(self, rows, columns):
        self.screen.columns = columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self):
        """Waits until the program ends; its exit status."""
        end = time.monotonic() + PATIENCE
        while self.pump(0.2) and time.monotonic() < end:
            pass
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)


def main():
    unittest.main(verbosity=1)
