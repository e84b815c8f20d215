"""use and config: what is configured, where it stands, and the switch that rewrites .env."""
import json
import os
import re
import resource
import signal
import subprocess
import threading
import unittest

from support import Case, COMMAND, MODELS, PATIENCE, main

LLAMA = os.path.join(MODELS, "llama-chat")
ROOT = os.environ["SOURCE_ROOT"]

FILE = """# Chat
LLM_CHAT_API_URL=mlx://org/one  # which model
export OTHER='two words'
\tSPACED = x

DATABASE_URL="postgres://user:pw@host/db"
MLX_TEMPERATURE=0.3
"""


class ConfigCase(Case):
    def setUp(self):
        super().setUp()
        self.install("org/one")
        self.install("org/two")

    def write(self, text, name=".env", mode=0o600):
        with open(self.path(name), "wb") as f:
            f.write(text.encode() if isinstance(text, str) else text)
        os.chmod(self.path(name), mode)

    def read(self, name=".env"):
        with open(self.path(name), "rb") as f:
            return f.read().decode()

    def use(self, *args, contains=(), **kw):
        done = self.run_command("use", *args, **kw)
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.errors)
        for text in [contains] if isinstance(contains, str) else contains:
            self.assertIn(text, done.errors)
        return done.errors

    def shown(self, **kw):
        return json.loads(self.good("use", "--json", **kw))

    def config(self, *args, status=0, **kw):
        done = self.run_command("config", "--json", *args, **kw)
        self.assertEqual(done.returncode, status, done.errors)
        value = json.loads(done.stdout)
        return {s["key"]: s for s in value["settings"]}, value, done.errors


class Use(ConfigCase):
    def test_model(self):
        self.write(FILE, mode=0o640)
        errors = self.use("org/two", contains=[".env: the model is now org/two", "As it was: ", ".env.backup"])
        self.assertEqual(len(errors.splitlines()), 2)
        self.assertEqual(self.read(), FILE.replace("mlx://org/one", "mlx://org/two") + "MLX_MODEL_NAME=org/two\n")
        self.assertEqual(self.read(".env.backup"), FILE)
        for name in [".env", ".env.backup"]:
            self.assertEqual(os.stat(self.path(name)).st_mode & 0o777, 0o640)
        before = self.read()
        self.use("org/two", contains="already is org/two")
        self.assertEqual((self.read(), self.read(".env.backup")), (before, FILE))
        self.assertEqual(sorted(os.listdir(self.folder)), [".env", ".env.backup", "models"])

    def test_crlf_and_no_last_newline(self):
        self.write("A=1\r\nLLM_CHAT_API_URL = \"mlx://org/one\"\r\n# end")
        self.use("org/two")
        self.assertEqual(self.read(), "A=1\r\nLLM_CHAT_API_URL = mlx://org/two\r\n# end\r\nMLX_MODEL_NAME=org/two\r\n")

    def test_what_a_model_may_be_called(self):
        for name in ["org/two", "mlx://org/two", "models/mlx/org/two", "./models/mlx/org/two/", self.path("models", "mlx", "org", "two")]:
            self.write(FILE)
            self.use(name)
            self.assertIn("LLM_CHAT_API_URL=mlx://org/two  # which model\n", self.read(), name)
        self.write(FILE)
        self.use(LLAMA)  # a directory elsewhere
        self.assertIn("LLM_CHAT_API_URL=mlx://%s  # which model\n" % os.path.realpath(LLAMA), self.read())
        value = self.good("run", "--ids", "[5]", "--max-tokens", "1", "--json")
        self.assertEqual(len(json.loads(value)["tokens"]), 1)

    def test_models_that_are_not_there(self):
        self.write(FILE)
        for name, says in {"org/onee": 'did you mean "org/one"', "org/one-4bit-4bit": "stands twice", "none/such": "whisperengine list",
                           "models": "not a model directory", "": "no model was named"}.items():
            self.bad(1, "use", name, contains=says)
        self.bad(1, "use", "remote", contains="no remote endpoint was used before")
        self.assertEqual(self.read(), FILE)
        self.assertFalse(os.path.exists(self.path(".env.backup")))
        os.remove(self.path(".env"))
        self.bad(1, "use", "mlx", contains="no MLX model was used before")

    def test_profiles_remember(self):
        self.write(FILE)
        self.use("ollama", "--no-check")
        self.assertEqual(self.shown()["profile"], "ollama")
        self.assertIn("LLM_CHAT_API_URL=http://localhost:11434/v1  # which model\n", self.read())
        self.use("http://user:secret@gpu:8000/v1/#Qwen/Q", "--no-check")
        shown = self.shown()
        self.assertEqual((shown["profile"], shown["origin"]), ("remote", ".env:2: LLM_CHAT_API_URL"))
        self.assertEqual(shown["profiles"], {"mlx": "org/one", "local": "http://localhost:1234/v1", "ollama": "http://localhost:11434/v1",
                                             "remote": "http://********@gpu:8000/v1#Qwen/Q"})
        self.use("local", "--no-check")
        self.use("http://localhost:11434/v1#small", "--no-check")
        self.assertIn("\nLLM_CHAT_MODEL=small\n", self.read())
        self.use("remote", "--no-check")
        self.assertIn("LLM_CHAT_API_URL=http://user:secret@gpu:8000/v1  # which model\n", self.read())
        self.assertIn("\nLLM_CHAT_MODEL=Qwen/Q\n", self.read())
        self.use("ollama", "--no-check")
        self.assertIn("\nLLM_CHAT_MODEL=small\n", self.read())
        self.use("mlx")
        self.assertEqual(self.config()[0]["model"]["value"], "org/one")
        for line in FILE.splitlines()[2:]:
            self.assertIn("\n" + line + "\n", self.read())
        self.assertEqual(self.read().count("LLM_CHAT_API_URL="), 1)

    def test_table(self):
        self.write(FILE)
        lines = self.good("use").decode().splitlines()
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[1], r"^\* mlx +org/one +here +\.env:2: LLM_CHAT_API_URL$")
        self.assertTrue(all(len(line) <= 80 for line in lines))
        os.remove(self.path(".env"))
        done = self.run_command("use")
        self.assertEqual(done.returncode, 0)
        self.assertIn("No model is configured yet", done.errors)
        self.assertNotIn(b"*", done.stdout)

    def test_which_file(self):
        self.use("org/one")  # beside ./models
        self.assertEqual(self.read(), "LLM_CHAT_API_URL=mlx://org/one\nMLX_MODEL_NAME=org/one\n")
        self.assertEqual(os.stat(self.path(".env")).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(self.path(".env.backup")))
        os.remove(self.path(".env"))
        os.rename(self.path("models"), self.path("elsewhere"))
        errors = self.use("org/two", "--models-dir", "elsewhere", contains=".config/whisperengine/.env")
        self.assertIn(os.path.realpath(self.path("elsewhere")), errors)  # --models-dir is not there the next time
        self.assertIn("org/two", self.read(".config/whisperengine/.env"))
        self.write("A=1\n", "own.env")
        self.use("org/one", "--config-file", "own.env", env={"LOCAL_MODELS_DIR": self.path("elsewhere")})
        self.assertEqual(self.read("own.env"), "A=1\nLLM_CHAT_API_URL=mlx://org/one\nMLX_MODEL_NAME=org/one\n")
        self.bad(1, "use", "org/one", "--config-file", "none.env", contains="none.env")

    def test_links(self):
        os.mkdir(self.path("shared"))
        self.write(FILE, "shared/env")
        os.symlink("shared/env", self.path(".env"))
        self.use("org/two", contains="shared/env.backup")
        self.assertTrue(os.path.islink(self.path(".env")))
        self.assertIn("mlx://org/two", self.read("shared/env"))
        self.assertEqual(self.read("shared/env.backup"), FILE)
        os.remove(self.path("shared/env"))
        self.bad(1, "use", "org/two", contains="a link to a file that is not there")

    def test_broken_file(self):
        text = "A=1\nset -a\n[section]\nB='it is open\n"
        self.write(text)
        self.use("org/two")
        self.assertEqual(self.read(), text + "LLM_CHAT_API_URL=mlx://org/two\nMLX_MODEL_NAME=org/two\n")
        s, value, errors = self.config()
        self.assertEqual([x["line"] for x in value["unreadable"]], [2, 3, 4])
        self.assertIn(".env:2: passed over: NAME=VALUE was expected", errors)
        self.assertEqual(s["model"]["line"], 5)
        for text in ["A=1\nLLM_CHAT_API_URL: mlx://org/one\n", "{not: a .env file}\n"]:
            self.write(text)
            self.bad(1, "use", "org/two", contains=": NAME=VALUE was expected")
            self.assertEqual(self.read(), text)

    def test_wrong_values_do_not_keep_from_switching(self):
        self.write("MLX_TEMPERATURE=hot\n")
        self.use("org/two")
        self.assertIn("mlx://org/two", self.read())

    def test_full_disk(self):
        text = FILE + "# %s\n" % ("x" * 8000)
        self.write(text)
        done = subprocess.run([COMMAND, "use", "org/two"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY)))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"writing failed", done.stderr)
        self.assertEqual(self.read(), text)
        self.assertEqual(sorted(os.listdir(self.folder)), [".env", "models"])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_read_only_folder(self):
        self.write(FILE)
        os.chmod(self.folder, 0o500)
        self.addCleanup(os.chmod, self.folder, 0o700)
        self.bad(1, "use", "org/two", contains="Permission denied")
        self.assertEqual(self.read(), FILE)

    def test_killed_at_any_time(self):
        """Whenever it dies, the file is the old one or the new one."""
        new = FILE.replace("mlx://org/one", "mlx://org/two") + "MLX_MODEL_NAME=org/two\n"
        for i in range(40):
            self.write(FILE)
            process = subprocess.Popen([COMMAND, "use", "org/two"], cwd=self.folder, env=self.environment, stderr=subprocess.DEVNULL)
            try:
                process.wait(i * 0.0005)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            self.assertIn(self.read(), [FILE, new])

    def test_two_at_once(self):
        self.write(FILE)
        results = []
        threads = [threading.Thread(target=lambda name=name: results.append(self.run_command("use", name)))
                   for name in ["org/one", "org/two"] * 3]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([r.returncode for r in results], [0] * 6, [r.errors for r in results])
        self.assertEqual(re.sub("org/(one|two)", "X", self.read()), FILE.replace("org/one", "X") + "MLX_MODEL_NAME=X\n")

    def test_the_environment_is_stronger(self):
        self.write(FILE)
        self.use("org/two", env={"LLM_CHAT_API_URL": "mlx://org/one"}, contains="LLM_CHAT_API_URL is set in the environment too")
        self.assertEqual(self.shown(env={"LLM_CHAT_API_URL": "mlx://org/one"})["origin"], "LLM_CHAT_API_URL")

    def test_key_that_moves(self):
        self.write(FILE + "LLM_CHAT_API_KEY=sk-verysecret\n")
        errors = self.use("http://gpu:8000/v1", "--no-check", contains="LLM_CHAT_API_KEY stays")
        self.assertNotIn("verysecret", errors)
        self.assertNotIn("stays", self.use("http://gpu:8000/v1#other", "--no-check"))

    def test_usage(self):
        self.bad(2, "use", "a", "b", contains="one word too many")
        self.bad(2, "use", "org/two", "--json", contains="--json is for 'whisperengine use' alone")


class Config(ConfigCase):
    def test_where_values_come_from(self):
        self.write(FILE + "LLM_MAX_TOKENS_CHAT=5\nHF_TOKEN=hf_verysecret\nLLM_CHAT_API_KEY=sk-verysecret\nUI_THEME=Dark\n")
        s, value, errors = self.config("--top-p", "0.5", env={"MLX_SEED": "7", "MLX_MEMORY_LIMIT": "8G"})
        self.assertEqual(value["file"], ".env")
        self.assertEqual(errors, "")
        self.assertEqual((s["model"]["value"], s["model"]["source"], s["model"]["file"], s["model"]["line"], s["model"]["variable"]),
                         ("org/one", "file", ".env", 2, "LLM_CHAT_API_URL"))
        self.assertEqual((s["temperature"]["value"], s["temperature"]["origin"]), (0.3, ".env:7: MLX_TEMPERATURE"))
        self.assertEqual((s["max_tokens"]["value"], s["max_tokens"]["variable"], s["max_tokens"]["line"]), (5, "LLM_MAX_TOKENS_CHAT", 8))
        self.assertEqual((s["top_p"]["value"], s["top_p"]["source"], s["top_p"]["origin"]), (0.5, "flag", "--top-p"))
        self.assertEqual((s["seed"]["value"], s["seed"]["source"], s["seed"]["variable"], s["seed"]["line"]),
                         (7, "environment", "MLX_SEED", None))
        self.assertEqual(s["memory_limit"]["value"], 8 << 30)
        self.assertEqual((s["min_p"]["value"], s["min_p"]["source"], s["min_p"]["origin"]), (0, "default", "default"))
        self.assertEqual((s["hf_token"]["value"], s["api_key"]["value"]), ("********", "********"))
        self.assertEqual((s["ui_theme"]["value"], s["system_tray"]["value"]), ("dark", True))
        self.assertEqual((s["device"]["value"], s["device"]["source"]), (None, "default"))
        table = self.good("config").decode()
        self.assertNotIn("verysecret", table + json.dumps(value))
        self.assertRegex(table, r"(?m)^temperature +0\.3 +\.env:7: MLX_TEMPERATURE$")
        self.assertRegex(table, r"(?m)^hf_token +\*{8} +\.env:9: HF_TOKEN$")
        self.assertRegex(table, r"(?m)^seed +- +not set$")
        self.assertIn("The file is .env.\n", table)

    def test_original_names(self):
        names = {"LLM_CHAT_API_URL": "http://h/v1", "LLM_CHAT_API_KEY": "k", "LLM_CHAT_MODEL": "m", "MLX_MAX_TOKENS": "9",
                 "MLX_TEMPERATURE": "0.1", "MLX_TOP_P": "0.2", "MLX_MEMORY_LIMIT": "1G", "LOCAL_MODELS_DIR": "models",
                 "LLM_REQUEST_TIMEOUT": "20", "LLM_CONNECTION_TIMEOUT": "3", "BOT_SYSTEM_PROMPT_FILE": "p", "LOG_LEVEL": "WARNING",
                 "LOG_DIR": "l", "DATA_DIR": "d", "UI_THEME": "light", "START_MINIMIZED": "true", "ENABLE_SYSTEM_TRAY": "false",
                 "CONVERSATION_HISTORY_LIMIT": "50", "CONVERSATION_AUTO_SAVE": "no", "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "https://e",
                 "HF_TOKEN": "t", "HF_HOME": "hf"}
        self.write("".join("%s=%s\n" % item for item in names.items()))
        s, _, errors = self.config()
        self.assertEqual(errors, "")
        self.assertEqual({x["variable"] for x in s.values()} - {None}, set(names))
        self.assertEqual({x["line"] for x in s.values()} - {None}, set(range(1, len(names) + 1)))
        for weaker, stronger, key in [("MLX_MODEL_NAME", None, "model"), ("LLM_TEMPERATURE", "MLX_TEMPERATURE", "temperature"),
                                      ("LLM_MAX_TOKENS_CHAT", "MLX_MAX_TOKENS", "max_tokens")]:
            self.write("%s=1\n" % weaker)
            self.assertEqual(self.config()[0][key]["variable"], weaker)

    def test_wrong_values(self):
        self.write("MLX_TEMPERATURE=warm\nMLX_TEMPRATURE=0.5\nMY_OWN=1\nLOG_LEVEL=chatty\nMLX_MAX_TOKEN=3\n")
        s, value, errors = self.config(status=1)
        self.assertIn('.env:1: MLX_TEMPERATURE is "warm", but a number from 0 to 100 was expected', errors)
        self.assertIn('.env:4: LOG_LEVEL is "chatty"', errors)
        self.assertIn(".env:2: MLX_TEMPRATURE is no name of a setting; did you mean MLX_TEMPERATURE?", errors)
        self.assertIn(".env:5: MLX_MAX_TOKEN is no name of a setting; did you mean MLX_MAX_TOKENS?", errors)
        self.assertNotIn("MY_OWN", errors)
        self.assertEqual([m["name"] for m in value["mistyped"]], ["MLX_TEMPRATURE", "MLX_MAX_TOKEN"])
        self.assertIn("warm", s["temperature"]["problem"])
        self.assertEqual((s["temperature"]["value"], s["temperature"]["source"]), (0.7, "default"))
        self.write("LOG_LEVEL=chatty\n")  # no matter for a command that does not need it
        self.good("list", "--names")

    def test_what_the_model_prefers(self):
        with open(self.path("models", "mlx", "org", "one", "generation_config.json"), "w") as f:
            json.dump({"temperature": 0.6, "top_k": 20}, f)
        self.write("LLM_CHAT_API_URL=mlx://org/one\nMLX_TOP_P=0.8\n")
        s = self.config()[0]
        self.assertEqual((s["temperature"]["value"], s["temperature"]["source"], s["temperature"]["origin"]),
                         (0.6, "model", "generation_config.json"))
        self.assertEqual((s["top_k"]["value"], s["top_p"]["source"]), (20, "file"))

    def test_values_do_not_command_the_terminal(self):
        self.write('MLX_MODEL_NAME="org/\x1b[31mone\\n"\n')
        for command in ["use", "config"]:
            self.assertIn(b"org/?[31mone?", self.good(command))
        self.assertEqual(self.config()[0]["model"]["value"], "org/\x1b[31mone\n")

    def test_no_file(self):
        s, value, _ = self.config()
        self.assertIsNone(value["file"])
        self.assertTrue(all(x["source"] == "default" for x in s.values()))
        self.assertIn("There is no .env file.", self.good("config").decode())

    def test_documentation_is_up_to_date(self):
        with open(os.path.join(ROOT, "docs", "configuration.md"), "rb") as f:
            self.assertEqual(f.read().decode(), self.good("config", "--markdown").decode(),
                             "run: whisperengine config --markdown > docs/configuration.md")

    def test_usage(self):
        self.bad(2, "config", "--json", "--markdown", contains="two forms")
        self.bad(2, "config", "x", contains="one word too many")
        self.bad(2, "config", "--temp", "warm", contains="--temp")


if __name__ == "__main__":
    main()
