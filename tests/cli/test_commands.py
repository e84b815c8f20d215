"""The subcommands with pipes: exact output, exit statuses, what goes where."""
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest

from support import Case, COMMAND, LLAMA, MODELS, PATIENCE, main

PLAIN = os.path.join(MODELS, "llama-float32")  # without tokenizer files
with open(os.path.join(MODELS, "golden", "llama-chat.json")) as f:
    GOLDEN = json.load(f)["cases"][0]
IDS = json.dumps(GOLDEN["ids"])
RUN_KEYS = ["text", "tokens", "finish_reason", "prompt_tokens", "prompt_tps", "generation_tokens", "generation_tps", "peak_memory",
            "load_seconds", "time_to_first_token"]


def one_line(output):
    """The value of a --json form: one line."""
    assert output.endswith(b"\n") and output.count(b"\n") == 1, output
    return json.loads(output)


class Overview(Case):
    def test_version(self):
        for flag in ["--version", "-V"]:
            self.assertRegex(self.good(flag).decode(), r"^whisperengine \d+\.\d+\.\d+\n$")

    def test_help(self):
        overview = self.good("help").decode()
        self.assertEqual(self.good("--help").decode(), overview)
        self.assertEqual(self.good("-h").decode(), overview)
        names = ["run", "chat", "use", "config", "list", "show", "convert", "bench", "perplexity", "tokenize", "detokenize", "render", "logits", "completion", "help"]
        for name in names:
            self.assertRegex(overview, r"\n  %s +\w" % name)
            text = self.good("help", name).decode()
            self.assertTrue(text.startswith("Usage: whisperengine " + name))
            self.assertEqual(self.good(name, "--help").decode(), text)
            self.assertTrue(all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  whisperengine ")
                                and "|" not in line), text)
        self.assertIn("--temp", self.good("help", "run").decode())

    def test_no_command(self):
        self.bad(2, contains="Usage: whisperengine COMMAND")

    def test_wrong_commands(self):
        self.bad(2, "rnu", contains=["there is no command 'rnu'; did you mean 'run'?", "Try 'whisperengine help'."])
        self.bad(2, "tokenise", contains="did you mean 'tokenize'?")
        self.bad(2, "help", "shwo", contains="did you mean 'show'?")
        self.assertNotIn("did you mean", self.bad(2, "xyzzy", contains="there is no command 'xyzzy'"))
        self.bad(2, "--model", contains="a command comes first, not '--model'")
        for name in ["compare", "batch", "serve"]:
            self.bad(2, name, contains="'%s' is not built yet" % name)

    def test_wrong_flags(self):
        self.bad(2, "run", "--tmep", "1", contains=["there is no option --tmep; did you mean --temp?", "Try 'whisperengine help run'."])
        self.bad(2, "run", "--max-token", "1", contains="did you mean --max-tokens?")
        self.bad(2, "list", "--temp", "1", contains="there is no option --temp")
        self.bad(2, "run", "--temp", contains="--temp takes a value")
        self.bad(2, "run", "--json=1", contains="--json takes no value")
        self.bad(2, "run", "--temp", "warm", contains=["--temp", "warm"])
        self.bad(2, "run", "--temp", "-1", contains="--temp")
        self.bad(2, "run", "--top-p", "1.5", contains="--top-p")
        self.bad(2, "run", "-m", LLAMA, "--ids", "[1]", "--precision", "rough", contains=["--precision", "rough"])
        self.bad(2, "run", "-m", LLAMA, "hello", contains="a prompt is given as -p")
        for flag in ["--kv-bits", "--max-kv-size", "--draft-model"]:
            self.bad(2, "run", flag, "1", contains="%s is not built yet" % flag)
        for flag in ["--hf-path", "--mlx-path"]:
            self.bad(2, "convert", "a", "b", flag, contains="%s is not built yet" % flag)

    def test_settings(self):
        with open(self.path(".env"), "w") as f:
            f.write("MLX_TEMPERATURE=hot\n")
        self.bad(2, "run", "-m", LLAMA, "-p", "x", contains=[".env:1: MLX_TEMPERATURE", "hot"])
        self.good("help", "run")
        with open(self.path(".env"), "w") as f:
            f.write("LLM_CHAT_API_URL=mlx://org/tiny\n")
        self.install("org/tiny")
        self.assertIn("text", one_line(self.good("run", "--ids", "[5]", "--max-tokens", "1", "--json")))
        with open(self.path("other.env"), "w") as f:
            f.write("LLM_CHAT_API_URL=mlx://org/none\n")
        self.bad(1, "run", "--config-file", "other.env", "--ids", "[5]", contains="org/none")
        self.bad(1, "run", "--config-file", "none.env", "--ids", "[5]", contains="none.env")


class Run(Case):
    def ids(self, *args, **kw):
        return self.good("run", "-m", LLAMA, "--ids", IDS, *args, **kw)

    def test_ids(self):
        greedy = GOLDEN["greedy"]["tokens"]
        value = one_line(self.ids("--max-tokens", "8", "--temp", "0", "--json"))
        self.assertEqual(list(value), RUN_KEYS)
        self.assertEqual(value["tokens"], greedy[:8])
        self.assertEqual((value["finish_reason"], value["prompt_tokens"], value["generation_tokens"]), ("length", len(GOLDEN["ids"]), 8))
        self.assertTrue(all(value[key] > 0 for key in RUN_KEYS[4:]))
        # It is greedy whatever the environment says, and reads the ids from standard input too.
        again = one_line(self.good("run", "-m", LLAMA, "--ids", "-", "--max-tokens", "8", "--json", input=IDS, env={"MLX_TEMPERATURE": "5"}))
        self.assertEqual(again["tokens"], greedy[:8])
        self.assertEqual(self.ids("--max-tokens", "8").decode(), value["text"] + "\n" * (not value["text"].endswith("\n")))

    def test_ids_without_tokenizer(self):
        value = one_line(self.good("run", "-m", PLAIN, "--ids", "[1, 2, 3]", "--max-tokens", "3", "--json"))
        self.assertEqual((value["text"], len(value["tokens"])), (None, 3))

    def test_bad_ids(self):
        for ids in ["", "1", "[", "[-1]", "[1.5]", "[\"a\"]", "[]", "[4294967296]"]:
            self.bad(2, "run", "-m", LLAMA, "--ids", ids, contains="--ids")
        self.bad(1, "run", "-m", LLAMA, "--ids", "[320]", contains=["320"])
        self.bad(2, "run", "-m", LLAMA, "--ids", "[1]", "-p", "x", contains="--prompt makes no sense with it")

    def test_prompt(self):
        args = ["-m", LLAMA, "--max-tokens", "6", "--temp", "0"]
        reply = self.good("run", *args, "-p", "hello")
        self.assertEqual(self.good("run", *args, "-p", "-", input="hello\n"), reply)
        self.assertEqual(self.good("run", *args, "-p", "-", input="hello\r\n"), reply)
        self.assertNotEqual(self.good("run", *args, "-p", "-", input="hello\n\n"), reply)
        self.assertNotEqual(self.good("run", *args, "-p", "hello", "--ignore-chat-template"), reply)
        value = one_line(self.good("run", *args, "-p", "hello", "--json"))
        self.assertEqual(value["text"] + "\n" * (not value["text"].endswith("\n")), reply.decode())

    def test_no_prompt(self):
        self.bad(2, "run", "-m", LLAMA, contains="there is no prompt")
        self.bad(2, "run", "-p", "x", contains="no model is named")
        self.bad(1, "run", "-m", LLAMA, "-p", "-", input=b"a\xff", contains="byte 2 (0xFF) is not UTF-8")
        self.bad(1, "run", "-m", PLAIN, "-p", "x", contains="has no tokenizer.json")

    def test_sampling(self):
        args = ["run", "-m", LLAMA, "-p", "hello", "--temp", "1", "--top-p", "1", "--max-tokens", "20", "--json"]
        first, again, other = [one_line(self.good(*args, "--seed", seed))["tokens"] for seed in "778"]
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        only = one_line(self.good(*args, "--seed", "1", "--logit-bias", '{"65": 1000}'))["tokens"]
        self.assertEqual(set(only), {65})
        self.bad(2, *args, "--logit-bias", '{"999": 1}', contains=["999", "vocabulary"])
        self.bad(2, *args, "--logit-bias", "[1]", contains="--logit-bias")

    def test_stop(self):
        args = ["run", "-m", LLAMA, "--ids", IDS, "--max-tokens", "30", "--json"]
        text = one_line(self.good(*args))["text"]
        middle = text[len(text) // 2:][:3]
        value = one_line(self.good(*args, "--stop", "never there", "--stop", middle))
        self.assertEqual((value["text"], value["finish_reason"]), (text[:text.index(middle)], "stop"))
        self.bad(2, *args, "--stop", "", contains="--stop: the text is empty")

    def test_verbose(self):
        done = self.run_command("run", "-m", LLAMA, "--ids", "[5]", "--max-tokens", "4", "-v")
        self.assertEqual([line[:13].strip() for line in done.errors.splitlines()], ["loaded in", "prompt", "reply", "first token", "peak memory"])

    def test_context_full(self):
        self.bad(1, "run", "-m", LLAMA, "--context", "8", "--ids", IDS, contains="8")

    def interrupted(self, *args):
        self.install("org/endless", eos_token_id=0, max_position_embeddings=1 << 20)
        process = subprocess.Popen([COMMAND, "run", "-m", "org/endless", "--ids", "[5]", "--max-tokens", "1000000", *args], cwd=self.folder,
                                   env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return process

    def wait_for_handler(self, process):
        """Until the process catches SIGINT: before that, no program can."""
        end = time.monotonic() + PATIENCE
        while os.path.exists("/proc/self/status") and time.monotonic() < end:
            with open("/proc/%d/status" % process.pid) as f:
                caught = [int(line.split()[1], 16) for line in f if line.startswith("SigCgt:")]
            if caught and caught[0] >> (signal.SIGINT - 1) & 1:
                break
            time.sleep(0.05)
        time.sleep(1)

    def test_interrupt(self):
        process = self.interrupted()
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        self.assertEqual((process.communicate(timeout=PATIENCE)[1], process.returncode), (b"", 130))

    def test_interrupt_with_json(self):
        process = self.interrupted("--json")
        self.wait_for_handler(process)
        process.send_signal(signal.SIGINT)
        self.assertEqual((process.communicate(timeout=PATIENCE), process.returncode), ((b"", b""), 130))

    def test_reader_that_goes_away(self):
        process = self.interrupted()
        process.stdout.read(1)
        process.stdout.close()
        self.assertEqual((process.stderr.read(), process.wait(PATIENCE)), (b"", 0))
        process.stderr.close()


class Tokens(Case):
    def test_tokenize(self):
        golden = [260, 78, 78, 81, 267, 81, 84, 78, 70]
        self.assertEqual(self.good("tokenize", "-m", LLAMA, "--json", input="hello world"), json.dumps(golden).encode() + b"\n")
        self.assertEqual(self.good("tokenize", "-m", LLAMA, input="hello world"), " ".join(map(str, golden)).encode() + b"\n")
        self.assertEqual(one_line(self.good("tokenize", "-m", LLAMA, "--json", "--no-special", input="")), [])
        with_newline = one_line(self.good("tokenize", "-m", LLAMA, "--json", input="hello world\n"))
        self.assertEqual(with_newline[:9], golden)
        self.assertGreater(len(with_newline), 9)
        marked = one_line(self.good("tokenize", "-m", LLAMA, "--json", "--no-special", input="<|im_start|>a"))
        self.assertEqual(len(marked), 2)  # an added token in the text is one id

    def test_there_and_back(self):
        for text in ["hello world\n", "  é 你好 \n\n", "<|im_start|>user\n", "a\0b", ""]:
            ids = self.good("tokenize", "-m", LLAMA, "--json", "--no-special", input=text)
            self.assertEqual(self.good("detokenize", "-m", LLAMA, input=ids).decode(), text)

    def test_bad(self):
        self.bad(1, "detokenize", "-m", LLAMA, input="[1, ", contains="standard input")
        self.bad(1, "tokenize", "-m", PLAIN, contains="tokenizer.json")

    def test_render(self):
        request = {"messages": [{"role": "user", "content": "Hi"}]}
        start = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        self.assertEqual(self.good("render", "-m", LLAMA, input=json.dumps(request)).decode(), start + "<|im_start|>assistant\n")
        request["add_generation_prompt"] = False
        self.assertEqual(self.good("render", "-m", LLAMA, input=json.dumps(request)).decode(), start)
        with open(self.path("t.jinja"), "w") as f:
            f.write("{{ x }}|{{ tools is none }}|{{ messages[0].content }}")
        request["x"] = 7
        self.assertEqual(self.good("render", "--template", "t.jinja", input=json.dumps(request)), b"7|True|Hi")
        self.bad(1, "render", "-m", LLAMA, input="{}", contains="messages")
        self.bad(1, "render", "-m", LLAMA, input='{"messages": [{"role": "tool", "content": ""}]}', contains="Unknown role: tool")
        self.bad(2, "render", input="{}", contains="no model is named")


class Logits(Case):
    def test_file(self):
        self.assertEqual(self.good("logits", "-m", LLAMA, "--ids", "[1, 2, 3]", "--out", "l.safetensors"), b"")
        with open(self.path("l.safetensors"), "rb") as f:
            data = f.read()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + length])
        header.pop("__metadata__", None)
        self.assertEqual(header, {"logits": {"dtype": "F32", "shape": [3, 320], "data_offsets": [0, 3 * 320 * 4]}})
        rows = struct.unpack("<960f", data[8 + length:])
        best = one_line(self.good("logits", "-m", LLAMA, "--ids", "[1, 2, 3]", "--top", "2", "--json"))
        self.assertEqual([list(b) for b in best], [["id", "logit", "logprob", "text"]] * 2)
        last = rows[640:]
        self.assertEqual(best[0]["id"], last.index(max(last)))
        self.assertAlmostEqual(best[0]["logit"], max(last), 5)

    def test_table(self):
        lines = self.good("logits", "-m", LLAMA, "--ids", "[1, 2, 3]").decode().splitlines()
        self.assertEqual(lines[0].split(), ["ID", "LOGIT", "PROBABILITY", "TEXT"])
        self.assertEqual(len(lines), 11)
        self.assertEqual(len(self.good("logits", "-m", PLAIN, "--ids", "-", "--top", "3", input="[1]").splitlines()), 4)

    def test_bad(self):
        self.bad(2, "logits", "-m", LLAMA, contains="--ids is missing")
        self.bad(2, "logits", "-m", LLAMA, "--ids", "[1]", "--out", "x", "--json", contains="--out")
        self.bad(2, "logits", "-m", LLAMA, "--ids", "[1]", "--top", "0", contains="--top takes a whole number from 1")
        self.bad(1, "logits", "-m", LLAMA, "--ids", "[1]", "--out", "nowhere/x", contains="nowhere")
        self.bad(1, "logits", "-m", LLAMA, "--ids", "[400]", contains="400")


class Models(Case):
    def test_list(self):
        self.assertEqual(self.good("list", "--json"), b"[]\n")
        done = self.run_command("list")
        self.assertEqual((done.returncode, done.stdout), (0, b""))
        self.assertIn("No models yet", done.errors)
        self.install("org/tiny")
        os.remove(os.path.join(self.install("org/half"), "model.safetensors"))
        self.assertEqual(self.good("list", "--names"), b"org/half\norg/tiny\n")
        half, tiny = one_line(self.good("list", "--json"))
        self.assertEqual(list(tiny), ["name", "path", "bytes", "quantization", "last_used", "complete", "in_hub_cache"])
        self.assertEqual((tiny["name"], tiny["complete"], half["complete"]), ("org/tiny", True, False))
        lines = self.good("list").decode().splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "SIZE", "FORMAT", "LAST", "USED", "PLACE"])
        self.assertIn("incomplete", lines[1])
        self.install("org/mixed", os.path.join(MODELS, "llama-overrides"))
        self.assertIn("mixed, 5.74 bits", self.good("list").decode().splitlines()[2])
        self.assertEqual(one_line(self.good("list", "--json"))[1]["quantization"].split("; ")[::4], ["affine 4 bits, group 64", "bfloat16"])
        self.install("org/" + "a-long-name-" * 6)
        terminal = self.terminal("list", columns=80)
        self.assertEqual(terminal.end(), 0)
        lines = terminal.screen.text().splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "SIZE", "FORMAT"])
        self.assertIn("…", lines[1])
        self.assertTrue(max(map(len, lines)) <= 80 and lines[2].endswith("incomplete"), lines)
        self.assertEqual(self.good("list", "--names", "--models-dir", self.path("none")), b"")
        self.bad(2, "list", "--names", "--json", contains="give one")

    def test_show(self):
        value = one_line(self.good("show", LLAMA, "--json"))
        self.assertEqual(list(value), [
            "path", "model_type", "architecture", "num_parameters", "weight_bytes", "bits_per_weight", "hidden_size", "num_hidden_layers",
            "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "context_length", "tie_word_embeddings", "has_tokenizer",
            "has_chat_template", "kv_position_bytes", "state_bytes", "quantizations", "memory", "files"])
        self.assertEqual((value["model_type"], value["vocab_size"], value["has_chat_template"]), ("llama", 320, True))
        self.assertIn("tokenizer and chat template", self.good("show", LLAMA + "/").decode())
        os.symlink(LLAMA, self.path("link"))
        self.assertIn("llama", self.good("show", "-m", "link").decode())
        self.bad(2, "show", "a", "-m", "b", contains="the model is named twice")
        # 2 layers, keys and values, a head of 16, bfloat16 or float32; the whole is what `validate` plans.
        exact = one_line(self.good("show", LLAMA, "--json", "--precision", "exact"))
        self.assertEqual((value["kv_position_bytes"], exact["kv_position_bytes"]), (2 * 2 * 16 * 2, 2 * 2 * 16 * 4))
        self.assertEqual([m["context"] for m in value["memory"]], [1024])
        (at,) = one_line(self.good("show", LLAMA, "--json", "--context", "600"))["memory"]
        self.assertEqual((at["context"], value["memory"][0]["bytes"] - at["bytes"]), (600, 424 * 128))
        planned = json.loads(self.run_command("validate", "--json", "--no-speed", "-m", LLAMA).stdout)["checks"]
        (planned,) = [c["message"] for c in planned if c["name"] == "memory" and c["group"] == "memory"]
        self.assertIn("with 1024 positions", self.good("show", LLAMA).decode())
        self.assertTrue(planned.startswith("%.2f MB for 1024 positions" % (value["memory"][0]["bytes"] / 1e6)), planned)

    def test_names(self):
        self.install("org/tiny-4bit")
        for name in ["org/tiny-4bit", "mlx://org/tiny-4bit"]:
            self.assertEqual(one_line(self.good("show", name, "--json"))["model_type"], "llama")
        self.bad(1, "show", "org/tiny-4bit-4bit", contains='use "org/tiny-4bit"')
        self.bad(1, "show", "org/tni-4bit", contains='did you mean "org/tiny-4bit"?')
        self.bad(1, "run", "-m", "org/else", "-p", "x", contains="whisperengine list")

    def test_broken_models(self):
        def broken(name, change):
            directory = self.install(name)
            change(directory)
            for args in [["show", name], ["run", "-m", name, "--ids", "[5]", "--max-tokens", "1"]]:
                done = self.run_command(*args)
                self.assertEqual((done.returncode, done.stdout), (1, b""), (name, args, done.errors))
                self.assertIn(directory[len(self.folder) + 1:], done.errors)

        def truncate(directory):
            os.truncate(os.path.join(directory, "model.safetensors"), 70000)

        def empty_config(directory):
            with open(os.path.join(directory, "config.json"), "w") as f:
                f.write("{}")

        def bad_config(directory):
            with open(os.path.join(directory, "config.json"), "w") as f:
                f.write("{\"model_type\": ")

        def no_weights(directory):
            os.remove(os.path.join(directory, "model.safetensors"))
        broken("org/truncated", truncate)
        broken("org/empty", empty_config)
        broken("org/bad", bad_config)
        broken("org/none", no_weights)
        self.install("org/strange", model_type="strange")
        self.bad(1, "run", "-m", "org/strange", "--ids", "[5]", contains="strange")
        with open(os.path.join(self.install("org/text"), "tokenizer.json"), "w") as f:
            f.write("{")
        self.bad(1, "tokenize", "-m", "org/text", contains="tokenizer.json")
        self.bad(1, "chat", "-m", "org/text", contains="tokenizer.json")

    def test_perplexity(self):
        with open(self.path("text"), "w") as f:
            f.write("The quick brown fox jumps over the lazy dog. " * 8)
        flags = ["perplexity", "-m", LLAMA, "--sequence-length", "16"]
        value = one_line(self.good(*flags, "text", "--json", "--against", LLAMA, "--num-samples", "3"))
        self.assertEqual((value["windows"], value["tokens"], value["sequence_length"]), (3, 45, 16))
        self.assertAlmostEqual(value["perplexity"], math.exp(value["loss"]))
        self.assertEqual((value["ratio"], value["ratio_standard_error"], value["same_top"]), (1, 0, 1))
        self.assertEqual(value["against"]["perplexity"], value["perplexity"])
        lines = self.good(*flags, "text", "--against", LLAMA).decode().splitlines()
        self.assertEqual([line[:12].strip() for line in lines], ["model", "text", "perplexity", "rate", "against", "", "cost"])
        self.assertTrue(lines[-1].endswith("+0.00 ± 0.00 % perplexity; the likeliest token is the same 100.0 % of the time"))
        with open(self.path("text")) as f:
            piped = one_line(self.good(*flags, "-", "--json", input=f.read()))
        self.assertEqual(piped["perplexity"], one_line(self.good(*flags, "text", "--json"))["perplexity"])
        self.bad(1, *flags, "absent", contains="absent")
        self.bad(1, *flags, "-", input="", contains="at least two are needed")
        self.bad(1, "perplexity", "-m", PLAIN, "text", contains="tokenizer.json")
        self.bad(2, "perplexity", "-m", LLAMA, "text", "--sequence-length", "1", contains="--sequence-length takes")

    def test_convert(self):
        self.bad(2, "convert", "a.gguf", contains="something is missing")
        self.bad(1, "convert", "none.gguf", "out", contains="none.gguf")
        with open(self.path("bad.gguf"), "wb") as f:
            f.write(b"GGUF\3\0\0\0" + b"\xff" * 16)
        self.bad(1, "convert", "bad.gguf", "out", contains="bad.gguf")
        self.bad(2, "convert", "bad.gguf", "out", "--dtype", "int8", contains="--dtype takes")
        self.assertEqual(os.listdir(self.folder), ["bad.gguf"])
        self.bad(2, "convert", PLAIN, "out", "-q", "-d", contains="-q and -d exclude each other")
        self.bad(2, "convert", PLAIN, "out", "--q-bits", "4", contains="--q-bits says how to quantise, but -q is missing")
        self.bad(2, "convert", PLAIN, "out", "-q", "--q-bits", "7", contains="--q-bits takes one of: 2 3 4 5 6 8; not '7'")
        self.bad(1, "convert", PLAIN, "out", "-q", "--quant-predicate", "mixed", contains="is neither a recipe")
        self.bad(1, "convert", "no/such", "out", contains="no/such")
        self.assertEqual(os.listdir(self.folder), ["bad.gguf"])

    def test_convert_checkpoint(self):
        self.install("a/b", PLAIN)
        done = self.run_command("convert", "a/b", "models/mlx/a/quantised", "-q", "--q-bits", "8", "--q-group-size", "32")
        self.assertEqual((done.returncode, done.stdout), (0, b""), done.stderr)
        self.assertRegex(done.stderr.decode(), r"^models/mlx/a/quantised is ready, after \d+\.\d s, \d+\.\d{3} bits per weight\n$")
        self.assertIn(b"affine 8 bits, group 32", self.good("show", "a/quantised"))
        tokens = [json.loads(self.good("run", "-m", m, "--ids", "[3, 5]", "--max-tokens", "3", "--temp", "0", "--json"))["tokens"]
                  for m in ("a/b", "a/quantised")]
        self.assertEqual(len(tokens[1]), len(tokens[0]))
        self.bad(1, "convert", "a/b", "models/mlx/a/quantised", contains="it exists already; remove it, or choose another name")


class Output(Case):
    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        for args in [["list", "--json"], ["help"], ["--version"], ["tokenize", "-m", LLAMA], ["run", "-m", LLAMA, "--ids", "[5]", "--max-tokens", "3"]]:
            with open("/dev/full", "w") as full:
                done = self.run_command(*args, stdout=full)
            self.assertEqual(done.returncode, 1, args)
            self.assertIn("standard output cannot be written", done.errors)

    def test_closed_pipe(self):
        for args in [["help"], ["list", "--json"], ["show", LLAMA, "--json"], ["tokenize", "-m", LLAMA], ["completion", "bash"],
                     ["run", "-m", LLAMA, "--ids", "[5]", "--max-tokens", "3", "--json"]]:
            reader, writer = os.pipe()
            os.close(reader)
            done = self.run_command(*args, stdout=writer)
            os.close(writer)
            self.assertEqual((done.returncode, done.errors), (0, ""), args)

    def test_closed_descriptors(self):
        with open(self.path("out.safetensors"), "w"):
            pass
        # What would be descriptor 1 or 2 must not become the output file's.
        script = '"$0" logits -m "$1" --ids "[1]" --out out.safetensors >&- 2>&- <&-'
        status = subprocess.run(["sh", "-c", script, COMMAND, LLAMA], cwd=self.folder, env=self.environment, timeout=PATIENCE).returncode
        self.assertEqual(status, 0)
        with open(self.path("out.safetensors"), "rb") as f:
            (length,) = struct.unpack("<Q", f.read(8))
        self.assertEqual(os.path.getsize(self.path("out.safetensors")), 8 + length + 320 * 4)

    @unittest.skipUnless(shutil.which("locale"), "there is no locale")
    def test_other_locale(self):
        text = self.good("tokenize", "-m", LLAMA, "--json", input="é", env={"LC_ALL": "C", "LANG": "C"})
        self.assertEqual(text, self.good("tokenize", "-m", LLAMA, "--json", input="é"))


if __name__ == "__main__":
    main()
