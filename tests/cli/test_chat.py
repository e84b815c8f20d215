"""chat with pipes: each line of standard input is a message or a command."""
import json
import os
import subprocess

from support import Case, COMMAND, LLAMA, MODELS, PATIENCE, main

with open(os.path.join(MODELS, "golden", "conversation.json")) as f:
    GOLDEN = json.load(f)
SYSTEM, USER1, REPLY1, USER2, REPLY2 = [m["content"] for m in GOLDEN["messages"]]
GREEDY = ["--temp", "0", "--max-tokens", "40"]


class Chat(Case):
    def chat(self, *lines, model=LLAMA, flags=GREEDY, **kw):
        return self.run_command("chat", "-m", model, *flags, input="".join(line + "\n" for line in lines), **kw)

    def saved(self, name="saved.json"):
        with open(self.path(name)) as f:
            return json.load(f)["messages"]

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def test_golden_conversation(self):
        done = self.chat(USER1, USER2, "/save saved.json", flags=[*GREEDY, "--system-prompt", SYSTEM])
        self.assertEqual(done.stdout.decode(), REPLY1 + "\n" + REPLY2 + "\n")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.saved(), GOLDEN["messages"])
        self.assertIn("Saved to saved.json.\n", done.errors)
        self.assertEqual(os.listdir(self.folder), ["saved.json"])  # no history, no temporary file

    def test_loaded_conversation_goes_on(self):
        self.write("half.json", json.dumps({"messages": GOLDEN["messages"][:3], "note": "more keys do no harm"}))
        done = self.chat("/load half.json", USER2)
        self.assertEqual((done.returncode, done.stdout.decode()), (0, REPLY2 + "\n"))
        self.assertIn("2 messages from half.json.\n", done.errors)

    def test_last_line_without_newline_and_crlf_and_empty_lines(self):
        done = self.run_command("chat", "-m", LLAMA, *GREEDY, "--system-prompt", SYSTEM, input="\r\n\n   \n" + USER1 + "\r\n\n" + USER2)
        self.assertEqual((done.returncode, done.stdout.decode()), (0, REPLY1 + "\n" + REPLY2 + "\n"))

    def test_nothing_to_say(self):
        self.assertEqual(self.good("chat", "-m", LLAMA, input=b""), b"")

    def test_lines_that_end_in_a_backslash_are_joined(self):
        self.chat("one\\", "two", "/save saved.json")
        self.assertEqual(self.saved()[0], {"role": "user", "content": "one\ntwo"})

    def test_system(self):
        done = self.chat("/system", "/system  Be  brief. ", "/system", "hello", "/clear", "/save a.json", "/system -", "/save b.json")
        self.assertEqual(done.returncode, 0)
        self.assertIn("There is no system message", done.errors)
        self.assertTrue(done.stdout.startswith(b"Be  brief.\n"), done.stdout)
        self.assertEqual(self.saved("a.json"), [{"role": "system", "content": "Be  brief."}])
        self.assertEqual(self.saved("b.json"), [])

    def test_clear_begins_anew(self):
        done = self.chat(USER1, "/clear", USER1, flags=[*GREEDY, "--system-prompt", SYSTEM])
        self.assertEqual(done.stdout.decode(), REPLY1 + "\n" + REPLY1 + "\n")

    def test_regenerate(self):
        for name in ["/regenerate", "/retry"]:
            done = self.chat(USER1, name, USER2, "/save saved.json", flags=[*GREEDY, "--system-prompt", SYSTEM])
            self.assertEqual(done.stdout.decode(), REPLY1 + "\n" + REPLY1 + "\n" + REPLY2 + "\n")
            self.assertEqual(self.saved(), GOLDEN["messages"])

    def test_regenerate_says_something_else(self):
        flags = ["--temp", "1", "--top-p", "1", "--seed", "7", "--max-tokens", "12"]
        first = self.chat("hello", "/regenerate", "/save saved.json", flags=flags)
        again = self.chat("hello", "/regenerate", flags=flags)
        self.assertEqual(first.stdout, again.stdout)  # the same seed, the same replies
        alone = self.chat("hello", "/save alone.json", flags=flags)
        reply = self.saved()[1]["content"]
        self.assertNotEqual(self.saved("alone.json")[1]["content"], reply)
        self.assertEqual(len(self.saved()), 2)
        self.assertTrue(first.stdout.startswith(alone.stdout))

    def test_regenerate_without_a_reply(self):
        done = self.chat("/regenerate")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no reply yet", done.errors)

    def test_regenerate_that_fails_keeps_the_reply(self):
        self.install("org/here")
        # With the other model's template the message cannot be rendered; the reply of the first must survive.
        directory = self.install("org/refuses")
        with open(os.path.join(directory, "tokenizer_config.json")) as f:
            config = json.load(f)
        config["chat_template"] = "{{ raise_exception('no more') }}"
        with open(os.path.join(directory, "tokenizer_config.json"), "w") as f:
            json.dump(config, f)
        done = self.chat(USER1, "/model org/refuses", "/regenerate", "/save saved.json", model="org/here", flags=[*GREEDY, "--system-prompt", SYSTEM])
        self.assertEqual(done.returncode, 1)
        self.assertIn("no more", done.errors)
        self.assertEqual(self.saved(), GOLDEN["messages"][:3])

    def test_model_switches_and_the_conversation_goes_on(self):
        self.install("org/one")
        self.install("org/two")
        done = self.chat("/system " + SYSTEM, USER1, "/model org/two", "/model", USER2, "/save saved.json", model="org/one")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertIn("The conversation goes on with two.", done.errors)
        text = done.stdout.decode()
        self.assertTrue(text.startswith(REPLY1 + "\nmodel         two\n"), text)
        self.assertIn("  org/one\n  org/two\n", text)
        self.assertTrue(text.endswith(REPLY2 + "\n"))
        self.assertEqual(self.saved(), GOLDEN["messages"])

    def test_model_that_is_not_there(self):
        self.install("org/one")
        done = self.chat("/model org/onee", "/system " + SYSTEM, USER1, model="org/one")
        self.assertEqual((done.returncode, done.stdout.decode()), (1, REPLY1 + "\n"))
        self.assertIn("org/one", done.errors)

    def test_stats(self):
        done = self.chat(USER1, "/stats", flags=[*GREEDY, "--system-prompt", SYSTEM])
        lines = done.stdout.decode()[len(REPLY1) + 1:].splitlines()
        self.assertEqual([line[:14].strip() for line in lines],
                         ["model", "conversation", "context", "prompt", "reply", "first token", "peak memory"])
        self.assertIn("2 messages, and the system message", lines[1])
        self.assertIn("%d of 1024 positions" % (len(GOLDEN["turns"][0]["ids"]) + 40), lines[2])

    def test_verbose(self):
        done = self.chat(USER1, flags=[*GREEDY, "-v"])
        self.assertRegex(done.errors, r"40 tokens, [\d.]+ tokens/s; \d+ of \d+ tokens of the prompt read, [\d.]+ s to the first token\n")
        self.assertNotIn("tokens/s", done.stdout.decode())

    def test_cut_reply_says_so(self):
        self.assertIn("cut after 40 tokens", self.chat(USER1).errors)
        done = self.chat(USER1, flags=["--temp", "0", "--context", "100"])
        self.assertIn("The context of 100 positions is full", done.errors)

    def test_context_full_leaves_the_conversation(self):
        done = self.chat(USER1, "long " * 400, "/save saved.json", flags=[*GREEDY, "--context", "200"])
        self.assertEqual(done.returncode, 1)
        self.assertEqual([m["content"] for m in self.saved()][0], USER1)
        self.assertEqual(len(self.saved()), 2)
        self.assertIn("whisperengine chat:", done.errors)

    def test_template_error_leaves_the_conversation(self):
        odd = {"messages": [{"role": "tool", "content": "x"}]}
        self.write("odd.json", json.dumps(odd))
        done = self.chat("/load odd.json", "hello", "/save saved.json")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("Unknown role: tool", done.errors)
        self.assertEqual(self.saved(), odd["messages"])

    def test_load_fails(self):
        cases = {"none.json": "none.json", "broken.json": "broken.json", "list.json": "messages", "part.json": "content"}
        self.write("broken.json", "{\"messages\": [")
        self.write("list.json", "[1]")
        self.write("part.json", "{\"messages\": [{\"role\": \"user\"}]}")
        for name, text in cases.items():
            done = self.chat(USER1, "/load " + name, "/save saved.json")
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.errors)
            self.assertEqual(self.saved()[0]["content"], USER1)

    def test_save_spares_other_files(self):
        self.write("letter.txt", "Dear Ada")
        self.write("data.json", "{\"a\": 1}")
        self.write("old.json", json.dumps({"messages": []}))
        for name in ["letter.txt", "data.json", "."]:
            done = self.chat("/save " + name)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no saved conversation", done.errors)
        with open(self.path("letter.txt")) as f:
            self.assertEqual(f.read(), "Dear Ada")
        self.assertEqual(self.chat("hello", "/save old.json").returncode, 0)
        self.assertEqual(len(self.saved("old.json")), 2)
        done = self.chat("/save nowhere/a.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere", done.errors)

    def test_save_below_home(self):
        self.assertEqual(self.chat("/save ~/a b.json").returncode, 0)
        self.assertEqual(self.saved("a b.json"), [])
        self.assertEqual(self.chat("/load ~/a b.json").returncode, 0)

    def test_commands_that_are_none(self):
        done = self.chat("/sytem x")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("there is no command /sytem; did you mean /system?", done.errors)
        self.assertIn("did you mean /regenerate?", self.chat("/regen_").errors + self.chat("/regener").errors)
        self.assertIn("/help lists them", self.chat("/xyzzyx").errors)
        self.assertIn("/clear takes nothing after it", self.chat("/clear all").errors)
        self.assertIn("/save needs a name: /save FILE", self.chat("/save").errors)

    def test_messages_that_look_like_commands(self):
        self.chat("/etc/hosts says", " /help me", "/save saved.json")
        self.assertEqual([m["content"] for m in self.saved()[::2]], ["/etc/hosts says", "/help me"])

    def test_help_and_quit(self):
        for word in ["/quit", "/exit", "/bye", "/q"]:
            done = self.chat("/help", word, "hello")
            self.assertEqual(done.returncode, 0)
            self.assertTrue(done.stdout.decode().startswith("/help"))
            self.assertNotIn("Ctrl-C", done.stdout.decode())  # nobody types
            for name in ["/model [NAME]", "/system [TEXT]", "/regenerate", "/clear", "/save FILE", "/load FILE", "/stats", "/quit"]:
                self.assertIn("\n" + name, done.stdout.decode())

    def test_bad_bytes(self):
        done = self.run_command("chat", "-m", LLAMA, input=b"a\xffb\na\0b\n")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("byte 2 (0xFF) is not UTF-8", done.errors)
        self.assertIn("NUL", done.errors)

    def test_models_that_cannot_talk(self):
        self.bad(1, "chat", "-m", os.path.join(MODELS, "llama-float32"), contains="tokenizer.json")
        directory = self.install("org/plain")
        file = os.path.join(directory, "tokenizer_config.json")
        with open(file) as f:
            config = json.load(f)
        del config["chat_template"]
        with open(file, "w") as f:
            json.dump(config, f)
        self.bad(1, "chat", "-m", "org/plain", contains=["no chat template", "--ignore-chat-template"])
        done = self.chat("/model org/plain", "/system " + SYSTEM, USER1)
        self.assertEqual((done.returncode, done.stdout.decode()), (1, REPLY1 + "\n"))

    def test_usage(self):
        self.bad(2, "chat", contains="no model is named")
        self.bad(2, "chat", "-m", LLAMA, "hello", contains="'hello' is one word too many")
        self.bad(2, "chat", "-m", LLAMA, "--kv-bits", "4", contains=["--kv-bits", "not built yet"])
        self.bad(2, "chat", "-m", LLAMA, "--verbos", contains="did you mean --verbose?")
        self.bad(1, "chat", "-m", "org/none", contains="org/none")

    def test_reader_that_goes_away(self):
        process = subprocess.Popen([COMMAND, "chat", "-m", LLAMA, "--temp", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd=self.folder, env=self.environment)
        process.stdout.close()
        errors = process.communicate(b"hello\n" * 5, timeout=PATIENCE)[1]
        self.assertEqual((process.returncode, errors), (0, b""))


if __name__ == "__main__":
    main()
