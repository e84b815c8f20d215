"""The command against a real server of OpenAI's API: mlx-lm's own. Skipped where mlx-lm is not installed; MLX_PYTHON names a Python that
has it. What the server says to a plain request is what the command has to print."""
import json
import os
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli")]
from support import COMMAND, LLAMA, PATIENCE, Case  # noqa: E402

PYTHON = os.environ.get("MLX_PYTHON", sys.executable)
SKIPPED = 77  # Meson's exit status for that


def has_mlx_lm():
    try:
        return subprocess.run([PYTHON, "-c", "import mlx_lm.server"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=PATIENCE).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class RealServer(Case):
    @classmethod
    def setUpClass(cls):
        cls.process, cls.address = cls.start()
        cls.addClassCleanup(cls.stop, cls.process)

    @staticmethod
    def start():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        environment = {k: v for k, v in os.environ.items() if not k.endswith("SAN_OPTIONS") and k != "LD_LIBRARY_PATH"}
        environment.update(HF_HUB_OFFLINE="1", HF_HOME="/nonexistent")
        address = "http://127.0.0.1:%d/v1" % port
        process = subprocess.Popen([PYTHON, "-m", "mlx_lm.server", "--model", LLAMA, "--port", str(port)], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(address[:-3] + "/health", timeout=5).read()
                return process, address
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.1)

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()

    def ask(self, path, **body):
        """The server's own reply, not streamed: the text, how it ended, and what was counted."""
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        value = json.loads(urllib.request.urlopen(request, timeout=PATIENCE).read())
        choice = value["choices"][0]
        return choice.get("text") or choice.get("message", {}).get("content"), choice["finish_reason"], value["usage"]

    def run_json(self, *args):
        return json.loads(self.good("run", "-m", self.address, "--json", *args))

    def test_replies(self):
        for prompt in ["What is the capital of France?", "Übergröße 😀", "a\n\nb"]:
            for tokens in [1, 7, 32]:
                text, reason, usage = self.ask("/chat/completions", messages=[{"role": "user", "content": prompt}], max_tokens=tokens,
                                               temperature=0)
                value = self.run_json("-p", prompt, "--temp", "0", "--max-tokens", str(tokens))
                self.assertEqual((value["text"], value["finish_reason"]), (text or "", reason))
                self.assertEqual((value["prompt_tokens"], value["generation_tokens"]), (usage["prompt_tokens"], usage["completion_tokens"]))

    def test_sampling(self):
        body = {"temperature": 1.5, "top_p": 0.8, "top_k": 30, "min_p": 0.05, "seed": 11, "repetition_penalty": 1.2, "xtc_probability": 0.5,
                "xtc_threshold": 0.1, "max_tokens": 16, "presence_penalty": 0.5, "frequency_penalty": 0.25, "logit_bias": {"5": -1.5}}
        text = self.ask("/chat/completions", messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], **body)[0]
        flags = ["--temp", "1.5", "--top-p", "0.8", "--top-k", "30", "--min-p", "0.05", "--seed", "11", "--repetition-penalty", "1.2",
                 "--xtc-probability", "0.5", "--max-tokens", "16", "--presence-penalty", "0.5", "--frequency-penalty", "0.25",
                 "--logit-bias", '{"5": -1.5}', "--system-prompt", "Be brief."]
        self.assertEqual(self.run_json("-p", "Hi", *flags)["text"], text)

    def test_plain_text(self):
        text = self.ask("/completions", prompt="Once upon a time", max_tokens=12, temperature=0)[0]
        self.assertEqual(self.run_json("-p", "Once upon a time", "--ignore-chat-template", "--temp", "0", "--max-tokens", "12")["text"], text)

    def test_conversation(self):
        done = self.run_command("chat", "-m", self.address[:-3], "--temp", "0", "--max-tokens", "12", input="one\ntwo\n/save chat.json\n")
        self.assertEqual(done.returncode, 0, done.errors)
        with open(self.path("chat.json")) as f:
            messages = json.load(f)["messages"]
        self.assertEqual([m["content"] for m in messages[::2]], ["one", "two"])
        for turn in (1, 3):
            self.assertEqual(messages[turn]["content"], self.ask("/chat/completions", messages=messages[:turn], max_tokens=12, temperature=0)[0] or "")

    def test_key(self):
        """The server asks for none, and takes one."""
        plain = self.good("run", "-m", self.address, "-p", "Hi", "--temp", "0", "--max-tokens", "8")
        self.assertEqual(self.good("run", "-m", self.address, "-p", "Hi", "--temp", "0", "--max-tokens", "8",
                                   env={"LLM_CHAT_API_KEY": "a-key"}), plain)

    def test_a_server_that_dies(self):
        """In the middle of a reply: what came is printed, and the error says what happened."""
        server, address = self.start()
        self.addCleanup(self.stop, server)
        run = subprocess.Popen([COMMAND, "run", "-m", address, "-p", "Hi", "--max-tokens", "100000", "--seed", "3", "--logit-bias", '{"2": -100}'],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, env=self.environment)
        self.addCleanup(run.kill)
        came = os.read(run.stdout.fileno(), 10)
        self.assertNotEqual(came, b"")
        server.kill()
        rest, errors = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 1, errors)
        came += rest
        came.decode()  # whole characters
        self.assertIn(b"broke off in the midst of the reply", errors)
        self.assertNotEqual(self.run_command("run", "-m", address, "-p", "Hi").returncode, 0)

    def test_no_such_model(self):
        self.bad(1, "run", "-m", self.address + "#org/none", "-p", "Hi", contains="HTTP 404")
        self.bad(1, "run", "-m", self.address[:-2] + "v7", "-p", "Hi", contains="usually ends in /v1")


if __name__ == "__main__":
    if not has_mlx_lm():
        print("skipped: %s has no mlx-lm; MLX_PYTHON names one that has it" % PYTHON)
        sys.exit(SKIPPED)
    unittest.main()
