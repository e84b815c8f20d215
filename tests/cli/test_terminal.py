"""chat on a terminal: what a person types, and what the screen shows."""
import ctypes
import json
import os
import signal
import stat
import time

from support import Case, COMMAND, LIBEDIT_LEAKS, LLAMA, Terminal, main

GREEDY = ["--temp", "0", "--max-tokens", "12"]


class TerminalTest(Case):
    def start(self, *args, model=LLAMA, flags=GREEDY, **kw):
        terminal = self.terminal("chat", "-m", model, *flags, *args, **kw)
        terminal.wait_prompt(1)
        self.prompts = 1
        return terminal

    def enter(self, terminal, keys):
        """Types, and waits for the next prompt."""
        terminal.send(keys)
        self.prompts += 1
        terminal.wait_prompt(self.prompts)

    def messages(self, terminal):
        self.enter(terminal, "/save messages.json\r")
        with open(self.path("messages.json")) as f:
            return [m["content"] for m in json.load(f)["messages"]]

    def endless(self):
        """A model that goes on for long: no token ends its reply, and the context is large."""
        self.install("org/endless", eos_token_id=0, max_position_embeddings=1 << 20)
        return {"model": "org/endless", "flags": ["--temp", "0", "--max-tokens", "1000000"]}

    def test_talking(self):
        t = self.start()
        self.assertRegex(t.screen.text(), r"^llama-chat on cpu \(.*\)\n/help lists the commands\.\n\n> ?$")
        self.enter(t, "hello\r")
        self.assertRegex(t.screen.text(), r"(?s)\n> hello\n.+\n\n>$")
        self.enter(t, "/help\r")
        self.assertIn("Ctrl-D", t.screen.text())
        t.send("\x04")
        self.assertEqual(t.end(), 0)
        self.assertNotIn(2004, t.screen.modes)  # the terminal is as it was

    def test_quit(self):
        t = self.start()
        t.send("/quit\r")
        self.assertEqual(t.end(), 0)

    def test_interrupt_clears_the_line_and_twice_leaves(self):
        t = self.start()
        t.send("some words")
        t.wait_for("> some words")
        self.enter(t, "\x03")
        self.assertNotIn("once more", t.screen.text())
        self.enter(t, "\x03")
        t.wait_for("(Ctrl-C once more, Ctrl-D or /quit leaves.)")
        self.enter(t, "hello\r")  # between the two
        self.enter(t, "\x03")
        t.send("\x03")
        self.assertEqual(t.end(), 0)
        self.assertIn("> some words\n>\n", t.screen.text())

    def test_interrupt_stops_the_reply_only(self):
        t = self.start(**self.endless())
        for reply in (1, 2):
            before = len(t.screen.raw)
            t.send("hello\r")
            t.wait(lambda: len(t.screen.raw) > before + 400, "the beginning of the reply")
            t.send("\x03")
            t.wait_for("(stopped)", reply)
            self.prompts += 1
            t.wait_prompt(self.prompts)
        texts = self.messages(t)
        self.assertEqual([texts[0], texts[2]], ["hello", "hello"])
        self.assertTrue(len(texts) == 4 and texts[1] and texts[3])  # what was said stays
        t.send("\x04")
        self.assertEqual(t.end(), 0)

    def test_interrupt_does_not_end_the_caller(self):
        self.endless()
        t = Terminal(["sh", "-c", '"$0" chat -m org/endless --temp 0 --max-tokens 1000000; echo "status $?"', COMMAND], self.folder,
                     {**self.environment, **LIBEDIT_LEAKS})
        self.addCleanup(t.close)
        t.wait_prompt(1)
        t.send("hello\r")
        t.wait(lambda: len(t.screen.raw) > 600, "the beginning of the reply")
        t.send("\x03")
        t.wait_prompt(2)
        t.send("/quit\r")
        t.wait_for("status 0")
        self.assertEqual(t.end(), 0)

    def test_history(self):
        t = self.start()
        self.enter(t, "first words\r")
        self.enter(t, "second\r")
        t.send("\x1b[A\x1b[A")
        t.wait_for("> first words", 2)
        self.enter(t, " again\r")
        t.send("\x04")
        self.assertEqual(t.end(), 0)
        file = self.path(".local", "state", "whisperengine", "history")
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(file)).st_mode), 0o700)
        t = self.start()
        t.send("\x1b[A")
        t.wait_for("> first words again")
        self.enter(t, "\r")
        t.send("\x12")  # Ctrl-R
        t.send("seco")
        t.wait_for("second")
        self.enter(t, "\r")
        self.assertEqual(self.messages(t)[2], "second")

    def test_history_elsewhere_or_nowhere(self):
        t = self.start(env={"XDG_STATE_HOME": self.path("state")})
        self.enter(t, "hello\r")
        self.assertTrue(os.path.isfile(self.path("state", "whisperengine", "history")))
        t = self.start("--no-history")
        self.enter(t, "hello\r")
        self.assertFalse(os.path.exists(self.path(".local")))

    def test_editing(self):
        t = self.start()
        t.send("hllo wurld")
        t.wait_for("hllo wurld")
        t.send("\x1b[H\x1b[C")  # Home, right
        t.send("e")
        t.wait_for("hello wurld")
        t.send("\x1b[F\x7f\x7f\x7f\x7f" + "orld é 你好")
        t.wait_for("hello world é 你好")
        self.enter(t, "\r")
        self.assertEqual(self.messages(t)[0], "hello world é 你好")

    def test_paste_is_one_message(self):
        t = self.start()
        t.send("\x1b[200~line one\nline two\rtab\there\n\x1b[31mred\x07 \x1b[20 \n\n\x1b[201~")
        t.wait_for("red")
        self.enter(t, "\r")
        self.assertEqual(self.messages(t)[0], "line one\nline two\ntab\there\n[31mred [20 ")

    def test_line_breaks(self):
        t = self.start()
        t.send("one\x1b\r")
        t.send("two\\\r")
        t.send("three\\")
        t.wait_for(". three")
        self.enter(t, "\r\r")
        self.assertEqual(self.messages(t)[0], "one\ntwo\nthree\n")
        t.send("\x1b[A\x1b[A")
        t.wait_for("> one", 2)

    def test_completion(self):
        self.install("org/alpha")
        self.install("org/alphabet")
        os.makedirs(self.path("folder"))
        with open(self.path("folder", "talk.json"), "w") as f:
            f.write('{"messages": []}')
        t = self.start(model="org/alpha")
        t.send("/he\t")
        t.wait_for("> /help")
        self.enter(t, "\r")
        t.send("/model o\t")
        t.wait_for("> /model org/alpha")
        t.send("\t")
        t.wait_for("org/alphabet")
        t.send("b\t")
        t.wait_for("/model org/alphabet")
        self.enter(t, "\r")
        t.wait_for("goes on with alphabet")
        t.send("/load fo\t")
        t.wait_for("/load folder/")
        t.send("t\t")
        t.wait_for("/load folder/talk.json")
        self.enter(t, "\r")
        t.wait_for("0 messages from folder/talk.json.")

    def test_narrow(self):
        t = self.start(columns=20)
        words = "these words are more than twenty columns wide"
        t.send(words)
        t.wait(lambda: "> these words are mo\nre than twenty colum\nns wide" in t.screen.text(), "the folded line")
        t.send("\x1b[D" * 19 + "X")
        t.wait(lambda: "> these words are mo\nre than Xtwenty colu\nmns wide" in t.screen.text(), "the changed line")
        self.enter(t, "\r")
        self.enter(t, "/help\r")
        self.enter(t, "/stats\r")
        self.assertTrue(all(len(line) <= 20 for line in t.screen.text().splitlines()))
        self.assertEqual(self.messages(t)[0], "these words are more than Xtwenty columns wide")

    def test_resize(self):
        t = self.start(columns=60)
        t.send("some words that stand here")
        t.wait_for("> some words that stand here")
        before = t.screen.raw.count("some words")
        t.resize(24, 40)
        t.wait(lambda: t.screen.raw.count("some words") > before, "the line, drawn again")
        self.assertEqual(t.screen.text().count("some words"), 1)
        t.send(", and go on beyond the edge")
        t.wait(lambda: "> some words that stand here, and go on \nbeyond the edge" in t.screen.text().replace("go on\n", "go on \n"),
               "the line, folded at 40 columns")
        self.enter(t, "\r")
        self.assertEqual(self.messages(t)[0], "some words that stand here, and go on beyond the edge")

    def test_no_color(self):
        t = self.start(env={"NO_COLOR": "1"})
        self.enter(t, "hello\r")
        self.assertNotRegex(t.screen.raw, r"\x1b\[[\d;]*m")

    def test_dumb_terminal(self):
        t = self.terminal("chat", "-m", LLAMA, *GREEDY, env={"TERM": "dumb"})
        t.wait(lambda: t.screen.text().endswith("\n>"), "the prompt")
        t.send("hello\n")
        t.wait_for("(cut after 12 tokens; --max-tokens allows more)")
        t.wait(lambda: t.screen.text().endswith("\n>"), "the second prompt")
        t.send("\x03")
        t.wait_for("(Ctrl-C once more")
        t.wait(lambda: t.screen.text().endswith("\n>"), "the third prompt")
        t.send("\x04")
        self.assertEqual(t.end(), 0)
        self.assertNotIn("\x1b", t.screen.raw)

    def test_interrupt_that_another_thread_gets(self):
        t = self.terminal("chat", "-m", LLAMA, *GREEDY, "--threads", "2", env={"TERM": "dumb"})
        t.wait(lambda: t.screen.text().endswith("\n>"), "the prompt")
        pid = t.process.pid
        other = next(int(tid) for tid in os.listdir("/proc/%d/task" % pid) if int(tid) != pid)
        self.assertEqual(ctypes.CDLL(None).tgkill(pid, other, signal.SIGINT), 0)
        t.wait_for("(Ctrl-C once more")
        t.send("\x04")
        self.assertEqual(t.end(), 0)

    def test_replies_to_a_file(self):
        with open(self.path("replies"), "w") as out:
            t = self.start(stdout=out)
            self.enter(t, "hello\r")
            t.send("\x04")
            self.assertEqual(t.end(), 0)
        with open(self.path("replies"), "rb") as f:
            replies = f.read()
        self.assertTrue(replies.strip())
        self.assertNotIn(b"> ", replies)
        self.assertNotIn(b"\x1b", replies)

    def test_suspended_and_resumed(self):
        t = self.terminal("chat", "-m", LLAMA, *GREEDY)
        t.wait_prompt(1)
        t.send("half a line")
        t.wait_for("> half a line")
        os.kill(t.process.pid, 20)  # SIGTSTP; its session has no other group, so nothing but SIGSTOP would stop it
        os.kill(t.process.pid, 19)
        time.sleep(0.2)
        os.kill(t.process.pid, 18)
        t.wait_for("half a line", 1)
        t.send(" more\r")
        t.wait_prompt(3)
        t.wait_for("half a line more")

    def test_hangup(self):
        t = self.start()
        os.close(t.master)
        self.assertIn(t.process.wait(120), (0, 1, -1))
        t.master = os.open("/dev/null", os.O_RDONLY)


if __name__ == "__main__":
    main()
