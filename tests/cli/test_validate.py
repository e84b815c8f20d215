"""validate: sound models pass; each of many ways to break a model, a configuration or an endpoint is named, with what to do."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", room) for room in ["remote", "store"]]
from hub_server import Hub, Model  # noqa: E402
from openai_server import Server  # noqa: E402
from support import COMMAND, LLAMA, MODELS, PATIENCE, Case, main  # noqa: E402
from validate_models import INDEX, Directory, read_tensors, write_tensors  # noqa: E402

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 72064\n" % ("0" * 64)
NAN, INF = struct.pack("<H", 0x7FC0), struct.pack("<H", 0x7F80)  # bfloat16
GROUPS = ["platform", "configuration", "files", "memory", "generation", "integration", "speed", "pipeline"]
Q, K = "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.k_proj"


def both_shards(d):
    d.shard(2, index=False)
    first = read_tensors(d.path("model-00001-of-00002.safetensors"))
    second = read_tensors(d.path("model-00002-of-00002.safetensors"))
    write_tensors(d.path("model-00002-of-00002.safetensors"), {**second, **dict(list(first.items())[:1])})


def swap_index(d):
    names = d.shard(2)
    weight_map = json.loads(d.read(INDEX))["weight_map"]
    d.write(INDEX, json.dumps({"weight_map": {t: names[1 - names.index(n)] for t, n in weight_map.items()}}))


def flip_bit(d):
    d.record("org/one")
    data = bytearray(d.read("model.safetensors"))
    data[-1000] ^= 1
    d.write("model.safetensors", data)


def another_tokenizer(d):
    value = json.loads(d.read("tokenizer.json"))
    for i in range(100):
        value["model"]["vocab"]["<another %d>" % i] = 320 + i
    d.write("tokenizer.json", json.dumps(value))


def smaller_tokenizer(d):
    d.config(vocab_size=640)
    for name in ["model.embed_tokens.weight", "lm_head.weight"]:
        d.change(name, lambda t: [t[0], [640, 32], t[2] * 2])


def unknown_component(d):
    value = json.loads(d.read("tokenizer.json"))
    value["pre_tokenizer"] = {"type": "FromTheFuture"}
    d.write("tokenizer.json", json.dumps(value))


def dangling(d):
    d.remove("tokenizer_config.json")
    os.symlink("nowhere", d.path("tokenizer_config.json"))


def folder(d):
    d.remove("tokenizer.json")
    os.mkdir(d.path("tokenizer.json"))


def overlap(d):
    text = d.read("model.safetensors")
    size = struct.unpack("<Q", text[:8])[0]
    header = json.loads(text[8:8 + size])
    names = [n for n in header if n != "__metadata__" and header[n]["shape"] == [32]]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
    new = json.dumps(header).encode()
    d.write("model.safetensors", struct.pack("<Q", len(new)) + new + text[8 + size:])


def typed(dtype, size):
    return lambda t: [dtype, t[1], t[2] * 2 if size == 4 else t[2][:len(t[2]) // 2] if size == 1 else t[2]]


# name: (kind of model, what is done to it, the mark, the check that must have it, what its message must say)
# kinds: plain (one file, bfloat16), packed (quantised), sharded (three files and an index)
BREAKAGES = {
    # ---- weights ----
    "shard cut short": ("sharded", lambda d: d.cut("model-00002-of-00003.safetensors", 20000), "failed", "weights",
                        ["model-00002-of-00003.safetensors", "cut short"]),
    "cut within the header": ("plain", lambda d: d.cut("model.safetensors", 300), "failed", "weights", ["model.safetensors", "cut short"]),
    "seven bytes": ("plain", lambda d: d.cut("model.safetensors", 7), "failed", "weights", ["model.safetensors", "too few"]),
    "no bytes": ("plain", lambda d: d.cut("model.safetensors", 0), "failed", "files", ["model.safetensors", "empty"]),
    "bytes of something else": ("plain", lambda d: d.write("model.safetensors", b"PK\3\4" + b"x" * 5000), "failed", "weights",
                                ["model.safetensors", "no safetensors file"]),
    "lfs pointer": ("plain", lambda d: d.write("model.safetensors", POINTER), "failed", "files", ["model.safetensors", "Git LFS pointer"]),
    "no weights": ("plain", lambda d: d.remove("model.safetensors", INDEX), "failed", "weights", ["no weights"]),
    "shard missing": ("sharded", lambda d: d.remove("model-00003-of-00003.safetensors"), "failed", "weights",
                      ["model-00003-of-00003.safetensors is missing", INDEX]),
    "all shards missing": ("sharded", lambda d: d.remove(*["model-%05d-of-00003.safetensors" % i for i in (1, 2, 3)]), "failed", "weights",
                           ["model-00001-of-00003.safetensors is missing"]),
    "index of another version": ("plain", swap_index, "failed", "weights", [INDEX, "different"]),
    "index names a file that never was": ("sharded", lambda d: d.json(INDEX, weight_map={"x": "other.safetensors"}), "failed", "weights",
                                          ["other.safetensors is missing", INDEX]),
    "index is no JSON": ("sharded", lambda d: d.write(INDEX, '{"weight_map": {'), "failed", "files", [INDEX]),
    "index without a map": ("sharded", lambda d: d.write(INDEX, "{}"), "failed", "weights", [INDEX, "weight_map"]),
    "index leads out": ("sharded", lambda d: d.json(INDEX, weight_map={"x": "../x.safetensors"}), "failed", "weights", [INDEX, "../x"]),
    "shard of an unindexed model missing": ("plain", lambda d: (d.shard(3, index=False), d.remove("model-00002-of-00003.safetensors")), "failed",
                                            "weights", ["model-00002-of-00003.safetensors is missing"]),
    "tensor in two shards": ("plain", both_shards, "failed", "weights", ["occurs in both", "00001-of-00002"]),
    "shard that nothing names": ("sharded", lambda d: shutil.copy(d.path("model-00001-of-00003.safetensors"), d.path("model-extra.safetensors")),
                                 "warning", "weights", ["model-extra.safetensors"]),
    "tensors overlap": ("plain", overlap, "failed", "weights", ["model.safetensors", "overlap"]),
    "tensor missing": ("plain", lambda d: d.change(Q + ".weight", lambda t: None), "failed", "config", ["lack the tensor", Q, "config.json"]),
    "tensor too many": ("plain", lambda d: d.change("model.norm.weight", lambda t: t) or write_tensors(
        d.path("model.safetensors"), {**read_tensors(d.path("model.safetensors")), "model.layers.2.x": ["BF16", [1], b"ab"]}), "failed", "config",
                        ["model.layers.2.x"]),
    "wrong shape": ("plain", lambda d: d.change(K + ".weight", lambda t: [t[0], [8, 32], t[2][:512]]), "failed", "config",
                    ["model.safetensors", K, "[8, 32]", "[16, 32]"]),
    "shape turned": ("plain", lambda d: d.change(K + ".weight", lambda t: [t[0], [32, 16], t[2]]), "failed", "config", [K, "[32, 16]"]),
    "wrong dtype": ("plain", lambda d: d.change("model.norm.weight", typed("I32", 4)), "failed", "config", ["model.norm.weight", "I32"]),
    "bytes in place of floats": ("plain", lambda d: d.change(Q + ".weight", typed("U8", 1)), "failed", "config", [Q, "U8"]),
    "unknown dtype": ("plain", lambda d: d.change(Q + ".weight", lambda t: ["C64", [32, 8], t[2]]), "failed", "weights", ["C64"]),
    "not a number": ("plain", lambda d: d.values(Q + ".weight", b"\0" * 20 + NAN), "failed", "values", [Q, "1 of its 1024", "number 10", "nan"]),
    "infinite norm": ("plain", lambda d: d.values("model.norm.weight", INF), "failed", "values", ["model.norm.weight", "inf"]),
    "infinite scale": ("packed", lambda d: d.values(Q + ".scales", INF), "failed", "values", [Q + ".scales", "inf"]),
    "hole of zeros": ("plain", lambda d: d.change(Q + ".weight", lambda t: [t[0], t[1], bytes(len(t[2]))]), "warning", "values", [Q, "zeros"]),
    # ---- quantisation ----
    "scales missing": ("packed", lambda d: d.change(Q + ".scales", lambda t: None), "failed", "config", [Q, "config.json"]),
    "biases missing": ("packed", lambda d: d.change(Q + ".biases", lambda t: None), "failed", "config", [Q + ".biases"]),
    "scales of another group": ("packed", lambda d: d.change(Q + ".scales", lambda t: [t[0], [32, 2], t[2] * 2]), "failed", "config", [Q, "[32, 2]"]),
    "entry that disagrees": ("packed", lambda d: d.config(quantization={"group_size": 32, "bits": 4, Q: {"group_size": 32, "bits": 8}}), "failed",
                             "config", [Q, "8 bits", "config.json"]),
    "entry that denies": ("packed", lambda d: d.config(quantization={"group_size": 32, "bits": 4, Q: False}), "failed", "config", [Q, "scales"]),
    "bits that disagree": ("packed", lambda d: d.config(quantization={"group_size": 32, "bits": 8}), "warning", "quantization",
                           ["config.json", "8 bits", "4 bits"]),
    "bits that do not exist": ("packed", lambda d: d.config(quantization={"group_size": 32, "bits": 7}), "failed", "config", ["config.json", "7"]),
    "no quantization": ("packed", lambda d: d.config(quantization=None, quantization_config=None), "failed", "config", ["quantization", "config.json"]),
    "another method": ("plain", lambda d: d.config(quantization_config={"quant_method": "awq", "bits": 4}), "failed", "config", ["awq"]),
    # ---- config ----
    "nothing": ("plain", lambda d: d.remove(*os.listdir(d.root)), "failed", "files", ["config.json is missing"]),
    "a page of a server": ("plain", lambda d: d.write("model.safetensors", "<!DOCTYPE html><title>404</title>" * 9), "failed", "weights",
                           ["model.safetensors", "no safetensors file"]),
    "pipes": ("plain", lambda d: (d.remove("config.json", "model.safetensors"), os.mkfifo(d.path("config.json")),
                                  os.mkfifo(d.path("model.safetensors"))), "failed", "files", ["config.json", "regular file"]),
    "brackets without end": ("plain", lambda d: d.write("config.json", '{"a":' * 100000), "failed", "files", ["config.json"]),
    "no config": ("plain", lambda d: d.remove("config.json"), "failed", "files", ["config.json is missing"]),
    "config is no JSON": ("plain", lambda d: d.cut("config.json", 200), "failed", "files", ["config.json:"]),
    "config is a list": ("plain", lambda d: d.write("config.json", "[1]"), "failed", "files", ["config.json", "object"]),
    "config is not UTF-8": ("plain", lambda d: d.write("config.json", b'{"model_type": "ll\xffama"}'), "failed", "files", ["config.json"]),
    "unknown model_type": ("plain", lambda d: d.config(model_type="lama"), "failed", "config", ["config.json", "lama", "llama"]),
    "no model_type": ("plain", lambda d: d.config(model_type=None), "failed", "config", ["config.json", "model_type"]),
    "another family": ("plain", lambda d: d.config(model_type="phi3"), "failed", "config", ["config.json"]),
    "config of a larger model": ("plain", lambda d: d.config(hidden_size=64, intermediate_size=96), "failed", "config", ["config.json", "[64, 64]"]),
    "more layers": ("plain", lambda d: d.config(num_hidden_layers=3), "failed", "config", ["model.layers.2", "config.json"]),
    "fewer layers": ("plain", lambda d: d.config(num_hidden_layers=1), "failed", "config", ["model.layers.1", "config.json"]),
    "a number as a text": ("plain", lambda d: d.config(num_attention_heads="two"), "failed", "config", ["config.json", "num_attention_heads"]),
    "no heads": ("plain", lambda d: d.config(num_attention_heads=0), "failed", "config", ["config.json"]),
    "endless layers": ("plain", lambda d: d.config(num_hidden_layers=4000000000), "failed", "config", ["config.json"]),
    "wrong vocab_size": ("plain", lambda d: d.config(vocab_size=300), "failed", "config", ["config.json", "[300, 32]", "[320, 32]"]),
    "unknown rope": ("plain", lambda d: d.config(rope_scaling={"rope_type": "spiral", "factor": 2}), "failed", "config", ["spiral"]),
    # ---- text ----
    "no tokenizer": ("plain", lambda d: d.remove("tokenizer.json"), "failed", "tokenizer", ["tokenizer.json is missing"]),
    "tokenizer is no JSON": ("plain", lambda d: d.cut("tokenizer.json", 2000), "failed", "files", ["tokenizer.json:"]),
    "tokenizer is a pointer": ("plain", lambda d: d.write("tokenizer.json", POINTER), "failed", "files", ["tokenizer.json", "Git LFS pointer"]),
    "tokenizer without a vocabulary": ("plain", lambda d: d.write("tokenizer.json", "{}"), "failed", "tokenizer", ["tokenizer.json"]),
    "tokenizer of another kind": ("plain", unknown_component, "failed", "tokenizer", ["tokenizer.json", "FromTheFuture"]),
    "tokenizer of a larger model": ("plain", another_tokenizer, "failed", "tokenizer", ["tokenizer.json", "420", "320"]),
    "tokenizer of a smaller model": ("plain", smaller_tokenizer, "warning", "tokenizer", ["tokenizer.json", "320", "640"]),
    "end token that the tokenizer does not know": ("plain", lambda d: d.json("tokenizer_config.json", eos_token="</s>"), "warning", "tokenizer",
                                                   ["tokenizer_config.json", "</s>"]),
    "tokenizer is a folder": ("plain", folder, "failed", "files", ["tokenizer.json", "directory"]),
    "no tokenizer_config": ("plain", lambda d: d.remove("tokenizer_config.json"), "warning", "template", ["no chat template"]),
    "empty tokenizer_config": ("plain", lambda d: d.write("tokenizer_config.json", ""), "failed", "files", ["tokenizer_config.json", "empty"]),
    "dangling link": ("plain", dangling, "failed", "files", ["tokenizer_config.json", "not there"]),
    "no template": ("plain", lambda d: d.template(None), "warning", "template", ["no chat template"]),
    "template with a syntax error": ("plain", lambda d: d.template("{% for m in messages %}{{ m.content }}"), "failed", "template",
                                     ["tokenizer_config.json"]),
    "template with an unknown filter": ("plain", lambda d: d.template("{{ messages[0].content | sparkle }}"), "failed", "template", ["sparkle"]),
    "template that raises": ("plain", lambda d: d.template("{{ raise_exception('not today') }}"), "failed", "template", ["not today"]),
    "template that knows no assistant": ("plain", lambda d: d.template(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no turns') }}{% endif %}{{ m.content }}{% endfor %}"),
                                         "failed", "template", ["a conversation", "no turns"]),
    "template that ends never": ("plain", lambda d: d.template(
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}"), "failed", "template", ["tokenizer_config.json"]),
    "template that leaves the question out": ("plain", lambda d: d.template("{% for m in messages %}{{ m.role }}{% endfor %}"), "failed", "template",
                                              ["leaves out"]),
    "template file with an error": ("plain", lambda d: d.write("chat_template.jinja", "{{ messages[0 }}"), "failed", "template",
                                    ["chat_template.jinja"]),
    "special tokens are no JSON": ("plain", lambda d: d.write("special_tokens_map.json", "{"), "failed", "files", ["special_tokens_map.json"]),
    # ---- generation ----
    "end token beyond the vocabulary": ("plain", lambda d: d.config(eos_token_id=320), "failed", "end tokens", ["config.json", "320"]),
    "end token of another model": ("plain", lambda d: d.json("generation_config.json", eos_token_id=128009), "failed", "end tokens",
                                   ["generation_config.json", "128009"]),
    "end token that the template does not write": ("plain", lambda d: d.config(eos_token_id=0), "warning", "end tokens",
                                                   ["config.json", "<|endoftext|>", "<|im_end|>"]),
    "end token that is an ordinary one": ("plain", lambda d: d.config(eos_token_id=[2, 70]), "warning", "end tokens", ["config.json", "special"]),
    "no end token": ("plain", lambda d: (d.config(eos_token_id=None), d.json("tokenizer_config.json", eos_token=None)), "warning", "end tokens",
                     ["no eos_token_id"]),
    "end token is a text": ("plain", lambda d: d.config(eos_token_id="<|im_end|>"), "failed", "end tokens", ["config.json", "eos_token_id"]),
    "generation_config is no JSON": ("plain", lambda d: d.write("generation_config.json", "{,}"), "failed", "files", ["generation_config.json:"]),
    "temperature is a text": ("plain", lambda d: d.json("generation_config.json", temperature="hot"), "failed", "end tokens",
                              ["generation_config.json", "temperature"]),
    "temperature below zero": ("plain", lambda d: d.json("generation_config.json", temperature=-1), "failed", "sampling defaults",
                               ["generation_config.json", "temperature", "-1"]),
    "top_p over one": ("plain", lambda d: d.json("generation_config.json", top_p=90), "failed", "sampling defaults", ["top_p", "90"]),
    # ---- downloads ----
    "unfinished download": ("plain", lambda d: d.record("org/one", complete=False), "failed", "hashes", ["did not end"]),
    "record is no JSON": ("plain", lambda d: d.write(".whisperengine-download.json", "{"), "failed", "hashes", ["record"]),
    "one bit": ("plain", flip_bit, "failed", "hashes", ["model.safetensors", "SHA-256"]),
    "longer than it was": ("plain", lambda d: (d.record("org/one"), d.write("tokenizer.json", d.read("tokenizer.json") + b" \n")), "failed", "hashes",
                           ["tokenizer.json", "4301"]),
    "file of the record missing": ("plain", lambda d: (d.record("org/one"), d.remove(INDEX)), "failed", "hashes", [INDEX, "missing"]),
}


def on_reply(answer):
    """A fault of requests for replies alone."""
    return lambda r: r.body is not None and answer(r)


class ValidateCase(Case):
    def setUp(self):
        super().setUp()
        self.environment["LM_STUDIO_API_URL"] = self.environment["OLLAMA_API_URL"] = "http://127.0.0.1:9/v1"

    def write(self, text):
        with open(self.path(".env"), "wb") as f:
            f.write(text.encode() if isinstance(text, str) else text)

    def validate(self, *args, status=None, **kw):
        """The object; its counts must be those of its checks, and the exit status what they say."""
        done = self.run_command("validate", "--json", *([] if kw.pop("speed", False) else ["--no-speed"]), *args, **kw)
        self.assertEqual(done.errors, "", args)
        value = json.loads(done.stdout)
        for mark in ["passed", "warning", "failed", "skipped"]:
            self.assertEqual(value[mark], sum(c["status"] == mark for c in value["checks"]), mark)
        self.assertEqual((done.returncode, value["ok"]), (1, False) if value["failed"] else (0, True), value)
        groups = [c["group"] for c in value["checks"]]
        self.assertEqual(sorted(set(groups), key=groups.index), [g for g in GROUPS if g in groups])
        for c in value["checks"]:
            self.assertTrue(c["message"], c)
            self.assertFalse(c["status"] == "failed" and not c["hint"], c)
        if status is not None:
            self.assertEqual(done.returncode, status, self.told(value))
        return value

    def serve(self, *args, **kw):
        server = Server(*args, **kw)
        self.addCleanup(server.close)
        return server

    def told(self, value, *marks):
        return [(c["group"], c["name"], c["status"], c["message"], c["hint"]) for c in value["checks"]
                if c["status"] in (marks or ("failed", "warning"))]

    def check(self, value, group, name):
        (found,) = [c for c in value["checks"] if (c["group"], c["name"]) == (group, name)]
        return found

    def make(self, kind, place="models/mlx/org/one"):
        directory = Directory(self.path(*place.split("/")))
        if kind == "packed":
            os.makedirs(os.path.dirname(directory.root), exist_ok=True)
            self.run_command("convert", LLAMA, directory.root, "-q", "--q-group-size", "32")
        else:
            shutil.copytree(LLAMA, directory.root)
        if kind == "sharded":
            directory.shard(3)
        return directory


class Models(ValidateCase):
    def test_sound(self):
        for kind in ["plain", "packed", "sharded"]:
            self.make(kind, "models/mlx/org/" + kind)
            value = self.validate("-m", "org/" + kind, status=0)
            # Its weights are random, which is seen.
            self.assertEqual([w[:2] for w in self.told(value)], [("generation", "logits")], self.told(value))
            self.assertEqual({c["group"] for c in value["checks"]}, set(GROUPS) - {"speed"})
        self.assertIn("modules are quantised as config.json says: affine 4 bits, group 32",
                      self.check(self.validate("-m", "org/packed"), "files", "quantization")["message"])

    def test_broken_in_many_ways(self):
        self.assertGreater(len(BREAKAGES), 60)
        sound = {kind: self.make(kind, "sound/mlx/org/" + kind).root for kind in ["plain", "packed", "sharded"]}
        for name, (kind, break_it, mark, check, says) in BREAKAGES.items():
            with self.subTest(name):
                directory = Directory(self.path("models", "mlx", "org", "one"))
                shutil.rmtree(directory.root, ignore_errors=True)
                shutil.copytree(sound[kind], directory.root)
                break_it(directory)
                value = self.validate("-m", directory.root)
                told = [c for c in value["checks"] if c["status"] == mark and c["group"] == "files" and c["name"] == check]
                self.assertTrue(any(all(s in c["message"] for s in says) for c in told), self.told(value))
                if mark == "failed":
                    self.assertFalse(value["ok"])
                    hints = [c["hint"] for c in value["checks"] if c["group"] == "files" and c["status"] == "failed"]
                    self.assertTrue(all(h in ("whisperengine pull org/one --check", "whisperengine list") for h in hints), hints)
                else:
                    self.assertTrue(value["ok"], self.told(value))

    def test_rights(self):
        directory = self.make("plain")
        os.chmod(directory.path("tokenizer.json"), 0)
        if os.geteuid() == 0:  # nothing is forbidden to root, so it is not root who looks
            if shutil.which("setpriv") is None or subprocess.run(
                    ["setpriv", "--reuid=65534", "--clear-groups", COMMAND, "--version"], capture_output=True, env=self.environment).returncode:
                self.skipTest("there is no other user who could run the command")
            os.chmod(self.folder, 0o755)
            done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", COMMAND, "validate", "--json", "--no-speed", "-m", directory.root],
                                  capture_output=True, cwd=self.folder, env=self.environment, timeout=PATIENCE)
        else:
            done = self.run_command("validate", "--json", "--no-speed", "-m", directory.root)
        self.assertEqual(done.returncode, 1, done.stderr)
        failed = [c for c in json.loads(done.stdout)["checks"] if c["status"] == "failed" and c["group"] == "files"]
        self.assertIn(directory.path("tokenizer.json"), failed[0]["message"])
        self.assertIn("Permission denied", failed[0]["message"])
        self.assertEqual(failed[0]["hint"], "chmod u+r " + directory.path("tokenizer.json"))

    def test_where_it_comes_from(self):
        """The hint names the model as the Hub does, where that is known."""
        def hint(*args):
            value = self.validate(*args)
            return [c for c in value["checks"] if c["status"] == "failed"][0]["hint"]
        for place, expected in {
                "models/mlx/org/two": "whisperengine pull org/two --check",
                "elsewhere": "whisperengine list",
                ".cache/huggingface/hub/models--org--three/snapshots/" + "a" * 40: "whisperengine pull org/three --check"}.items():
            directory = self.make("plain", place)
            directory.cut("model.safetensors", 1000)
            self.assertEqual(hint("-m", directory.root), expected)
        directory = self.make("plain", "other models/mlx/org/two")
        directory.remove("tokenizer.json")
        self.assertEqual(hint("-m", "org/two", "--models-dir", self.path("other models")),
                         "whisperengine pull org/two --check --models-dir '%s'" % self.path("other models"))
        directory = self.make("plain", "copy")
        directory.record("org/original")
        directory.cut("model.safetensors", 1000)
        self.assertEqual(hint("-m", "copy"), "whisperengine pull org/original")
        directory = self.make("plain", "cloned")
        os.mkdir(directory.path(".git"))
        directory.write(".git/config", '[remote "origin"]\n\turl = https://huggingface.co/org/cloned\n')
        directory.cut("model.safetensors", 1000)
        self.assertEqual(hint("-m", "cloned"), "whisperengine pull org/cloned")
        directory = self.make("plain", "copy 2")
        directory.write("model.safetensors", POINTER)
        self.assertEqual(hint("-m", "copy 2"), "git -C 'copy 2' lfs pull")
        os.makedirs(self.path("models", "mlx", "org", "empty"))
        self.assertEqual(hint("-m", "org/empty"), "whisperengine pull org/empty --check")
        self.assertEqual(hint("-m", "mlx://org/empty"), "whisperengine pull org/empty --check")
        os.mkdir(self.path("gguf"))
        Directory(self.path("gguf")).write("m.gguf", "GGUF")
        self.assertEqual(hint("-m", "gguf"), "whisperengine convert gguf/m.gguf gguf-mlx")
        self.assertEqual(hint("-m", "org/tow"), "whisperengine list")

    def test_hashes(self):
        directory = self.make("plain")
        directory.record("org/one")
        for args in [[], ["--full"]]:
            self.assertEqual(self.check(self.validate("-m", "org/one", *args, status=0), "files", "hashes")["message"],
                             "all 5 files are byte for byte what was fetched")

    def test_the_hint_repairs_a_download(self):
        files = {}
        for name in os.listdir(LLAMA):
            with open(os.path.join(LLAMA, name), "rb") as f:
                files[name] = f.read()
        hub = Hub({"org/one": Model(files)})
        self.addCleanup(hub.close)
        self.environment.update(HF_ENDPOINT=hub.endpoint, no_proxy="*", PATH=os.path.dirname(COMMAND) + ":" + self.environment["PATH"])
        self.assertEqual(self.run_command("pull", "org/one").returncode, 0)
        self.assertIn("byte for byte", self.check(self.validate("-m", "org/one", status=0), "files", "hashes")["message"])
        directory = Directory(json.loads(self.good("show", "org/one", "--json"))["path"])
        for break_it in [lambda: directory.cut("model.safetensors", 1000), lambda: directory.remove("tokenizer.json"),
                         lambda: directory.write("config.json", "{"), lambda: directory.values("model.norm.weight", NAN),
                         lambda: directory.config(eos_token_id=999)]:
            break_it()
            failed = [c for c in self.validate("-m", "org/one", status=1)["checks"] if c["status"] == "failed"]
            self.assertEqual({c["hint"] for c in failed if c["group"] == "files"}, {"whisperengine pull org/one --check"})
            subprocess.run(["sh", "-ec", failed[0]["hint"]], check=True, capture_output=True, cwd=self.folder, env=self.environment, timeout=PATIENCE)
            self.validate("-m", "org/one", status=0)

    def test_hub_cache(self):
        """There a file is a link to a blob, whose name is its hash."""
        directory = self.make("plain", ".cache/huggingface/hub/models--org--c/snapshots/" + "b" * 40)
        import hashlib
        blobs = self.path(".cache", "huggingface", "hub", "models--org--c", "blobs")
        os.mkdir(blobs)
        for name in os.listdir(directory.root):
            data = directory.read(name)
            digest = (hashlib.sha256(data) if name == "model.safetensors" else
                      hashlib.sha1(b"blob %d\0" % len(data) + data)).hexdigest()
            os.rename(directory.path(name), os.path.join(blobs, digest))
            os.symlink(os.path.join("..", "..", "blobs", digest), directory.path(name))
        self.assertIn("all 5 files", self.check(self.validate("-m", "org/c", status=0), "files", "hashes")["message"])
        with open(directory.path("model.safetensors"), "r+b") as f:
            f.seek(-1000, 2)
            f.write(b"\1\2")
        failed = self.check(self.validate("-m", "org/c", status=1), "files", "hashes")
        self.assertIn("model.safetensors: its bytes have changed", failed["message"])

    def test_memory(self):
        self.make("plain")
        value = self.validate("-m", "org/one", "--memory-limit", "1M", status=1)
        self.assertIn("MLX_MEMORY_LIMIT", self.check(value, "memory", "memory")["message"])
        failed = self.check(self.validate("-m", "org/one", "--memory-limit", "8M", "--context", "1000000", status=1), "memory", "memory")
        context = re.search(r"--context (\d+)", failed["hint"]).group(1)
        self.validate("-m", "org/one", "--memory-limit", "8M", "--context", context, status=0)
        self.assertIn("for 700 positions", self.check(self.validate("-m", "org/one", "--context", "700"), "memory", "memory")["message"])

    def test_device(self):
        self.make("plain")
        for args in [["--device", "mlx"], ["--isa", "z80"]]:
            value = self.validate("-m", "org/one", *args, status=1)
            failed = self.check(value, "platform", "device")
            self.assertEqual(failed["status"], "failed")
            self.assertIn(args[1], failed["message"])
            self.assertRegex(failed["hint"], r"^whisperengine validate --(device cpu|isa generic)$")

    def test_small_context(self):
        self.make("plain").config(max_position_embeddings=8)
        self.assertIn("too small", self.check(self.validate("-m", "org/one", status=1), "generation", "logits")["message"])

    def test_speed(self):
        self.make("plain")
        value = self.validate("-m", "org/one", speed=True)
        self.assertRegex(self.check(value, "speed", "decode")["message"], r"^[\d.]+ tokens/s, which reads .*/s that this machine's memory gives")
        self.assertRegex(self.check(value, "speed", "prefill")["message"], r"^[\d.]+ tokens/s over \d+ tokens, about [\d.e+-]+ GFLOP/s$")

    def test_known_model(self):
        """The default model, where it is; its known reply tells a wrong weight that has a right shape."""
        path = os.environ.get("WE_TEST_MODEL") or os.path.join(os.environ["SOURCE_ROOT"], "models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit")
        if not os.path.isdir(path):
            self.skipTest("there is no " + path)
        name = "HuggingFaceTB/SmolLM2-135M-Instruct-4bit"
        self.make("plain", "models/mlx/HuggingFaceTB/x")
        directory = Directory(self.path("models", "mlx", *name.split("/")))
        shutil.copytree(path, directory.root)
        value = self.validate("-m", name, status=0)
        self.assertEqual(self.told(value), [])
        self.assertIn("The capital of France is Paris.", self.check(value, "generation", "known reply")["message"])
        self.assertEqual(self.check(value, "integration", "prompt")["status"], "passed")
        if os.environ.get("SANITIZED") == "yes":
            return  # the code is the same, and its 135 million weights are slow there
        directory.json("generation_config.json", eos_token_id=0)
        value = self.validate("-m", name, status=1)
        self.assertIn("token 2, which is not among the end tokens", self.check(value, "integration", "reply")["message"])
        shutil.copy(os.path.join(path, "generation_config.json"), directory.path("generation_config.json"))
        directory.config(rope_theta=500.0)
        value = self.validate("-m", name, status=1)
        self.assertEqual([c[:2] for c in self.told(value, "failed")], [("generation", "known reply")])


class Configuration(ValidateCase):
    def settings(self, value, *marks):
        return [c for c in value["checks"] if c["group"] == "configuration" and c["status"] in (marks or ("failed", "warning"))]

    def follow(self, hint):
        """Runs a hint, as a user who pastes it would. What it exports counts from now on."""
        done = subprocess.run(["sh", "-ec", hint + "\nenv -0"], capture_output=True, cwd=self.folder, env=self.environment, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, (hint, done.stderr))
        self.environment = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)

    def test_wrong_lines_and_their_corrections(self):
        self.make("plain")
        lines = {"MLX_TEMPERATURE=0,7": ("MLX_TEMPERATURE=0.7", "failed"), "MLX_TOP_P=95": ("MLX_TOP_P=0.9", "failed"),
                 "export LLM_REQUEST_TIMEOUT=60s  # a minute": ("export LLM_REQUEST_TIMEOUT=60", "failed"),
                 "WHISPERENGINE_PRECISION=fsat": ("WHISPERENGINE_PRECISION=fast", "failed"),
                 "HF_HUB_OFFLINE=ture": ("HF_HUB_OFFLINE=true", "failed"), "MLX_MEMORY_LIMIT=lots": ("# MLX_MEMORY_LIMIT=lots", "failed"),
                 "MLX_MAX_TOKENS=\"many\"": ("MLX_MAX_TOKENS=2048", "failed"), "WHISPERENGINE_THREADS=0": ("# WHISPERENGINE_THREADS=0", "failed"),
                 "LOG_LEVEL=loud": ("LOG_LEVEL=info", "warning"), "MLX_TEMPRATURE=1": ("MLX_TEMPERATURE=1", "warning"),
                 "MLX_SEED='unclosed": ("# MLX_SEED='unclosed", "failed"), "DB=\"unclosed": ("# DB=\"unclosed", "warning"),
                 "MLX_SEED=1\nMLX_SEED=2": ("# MLX_SEED=1\nMLX_SEED=2", "warning"), "?!": ("# ?!", "warning")}
        for line, (right, mark) in lines.items():
            with self.subTest(line):
                first = "LLM_CHAT_API_URL=mlx://org/one\n"
                self.write(first + line + "\n")
                value = self.validate(status=int(mark == "failed"))
                (told,) = self.settings(value)
                self.assertEqual(told["status"], mark, told)
                self.assertTrue(told["message"].startswith(".env:2: "), told)
                self.follow(told["hint"])
                with open(self.path(".env")) as f:
                    self.assertEqual(f.read(), first + right + "\n")
                if line != "MLX_TEMPRATURE=1":
                    self.assertEqual(self.settings(self.validate(status=0)), [])

    def test_each_line_is_told(self):
        self.make("plain")
        self.write("LLM_CHAT_API_URL=mlx://org/one\nMLX_TOP_P=x\nMLX_TOP_P=y\nMLX_MIN_P=z\nMLX_TOP_K=-1\n")
        told = self.settings(self.validate(status=1, env={"MLX_MIN_P": "0.1", "MLX_TOP_K": "many", "MLX_MAX_TOKEN": "5"}))
        begins = [" ".join(c["message"].split(" ")[:2]) for c in told]
        self.assertEqual(begins[:5], [".env:2: MLX_TOP_P", ".env:2: MLX_TOP_P", ".env:3: MLX_TOP_P", ".env:4: MLX_MIN_P", ".env:5: MLX_TOP_K"])
        self.assertEqual(sorted(begins[5:]), ["MLX_MAX_TOKEN is", "MLX_TOP_K is"])  # the environment has no order
        self.environment.update(MLX_TOP_K="many", MLX_MAX_TOKEN="5")
        for c in told[-2:]:
            self.follow(c["hint"])
        self.assertEqual((self.environment["MLX_TOP_K"], self.environment["MLX_MAX_TOKENS"], "MLX_MAX_TOKEN" in self.environment), ("0", "5", False))

    def test_files_that_cannot_be_read(self):
        self.make("plain")
        self.write(b"A=1\0\n")
        (told,) = self.settings(self.validate("-m", "org/one", status=1), "failed")
        self.assertIn(".env", told["message"])
        self.follow(told["hint"])
        self.validate("-m", "org/one", status=0)
        (told,) = self.settings(self.validate("-m", "org/one", "--config-file", "none.env", status=1), "failed")
        self.assertIn("none.env", told["message"])
        os.mkdir(self.path("a folder"))
        self.validate("-m", "org/one", "--config-file", "a folder", status=1)

    def test_what_settings_name(self):
        self.make("plain")
        with open(self.path("latin"), "wb") as f:
            f.write(b"caf\xe9")
        for line, (mark, name, says, after) in {
                "BOT_SYSTEM_PROMPT_FILE=none.txt": ("failed", "system prompt", "none.txt", 0),
                "BOT_SYSTEM_PROMPT_FILE=latin": ("failed", "system prompt", "UTF-8", None),
                "LM_STUDIO_API_URL=localhost:1234/v1": ("failed", "addresses", "localhost:1234", 0),
                "LOG_DIR=latin": ("warning", "folders", "latin", None),
                "LOCAL_MODELS_DIR=latin": ("failed", "models folder", "no folder", None)}.items():
            with self.subTest(line):
                self.environment.pop("LM_STUDIO_API_URL", None)
                self.write("LLM_CHAT_API_URL=mlx://org/one\n" + line + "\n")
                told = [c for c in self.settings(self.validate()) if c["name"] == name]
                self.assertEqual([c["status"] for c in told], [mark], told)
                self.assertIn(says, told[0]["message"])
                if says != "UTF-8":
                    self.assertIn(".env:2: ", told[0]["message"])
                if after == 0:
                    self.follow(told[0]["hint"])
                    self.assertEqual(self.settings(self.validate()), [])

    def test_no_model(self):
        failed = self.check(self.validate(status=1), "files", "model")
        self.assertRegex(failed["hint"], "^whisperengine pull [^ ]+/[^ ]+$")
        self.make("plain")
        failed = self.check(self.validate(status=1), "files", "model")
        self.assertEqual(failed["hint"], "whisperengine use org/one")
        self.write("LLM_CHAT_API_URL=mlx://org/one-4bit-4bit\n")
        failed = self.check(self.validate(status=1), "files", "model")
        self.assertIn('the end of this name stands twice; use "org/one-4bit"', failed["message"])

    def test_secrets_are_not_told(self):
        self.make("plain")
        self.write("LLM_CHAT_API_URL=http://me:geheim@127.0.0.1:9/v1\nLLM_CHAT_API_KEY=geheim\nHF_TOKEN=geheim\nOLLAMA_API_URL=me:geheim@host\n")
        del self.environment["OLLAMA_API_URL"]
        self.assertNotIn("geheim", json.dumps(self.validate(status=1)))
        self.assertNotIn("geheim", self.run_command("validate", "--no-speed").stdout.decode())


class Pipeline(ValidateCase):
    def pipeline(self, value):
        return {c["name"]: c for c in value["checks"] if c["group"] == "pipeline"}

    def test_endpoint(self):
        server = self.serve()
        self.write("LLM_CHAT_API_URL=%s\nMLX_TEMPERATURE=0.25\n" % server.address)
        value = self.validate(status=0)
        self.assertEqual([c["group"] for c in value["checks"] if c["group"] not in ("platform", "configuration")], ["pipeline"] * 4)
        found = self.pipeline(value)
        self.assertIn("Hello, wörld!", found["reply"]["message"])
        self.assertIn("org/model", found["model"]["message"])
        (body,) = server.asked()
        self.assertEqual(body["temperature"], 0.25)
        self.assertLessEqual(body["max_tokens"], 32)

    def test_endpoint_without_the_model(self):
        """Some endpoints answer to other names than they list, so the reply decides."""
        server = self.serve(models=["org/model", "org/other"])
        self.write("LLM_CHAT_API_URL=%s\nLLM_CHAT_MODEL=org/modle\n" % server.address)
        found = self.pipeline(self.validate(status=1))
        self.assertEqual([found[n]["status"] for n in ["endpoint", "model", "reply"]], ["passed", "warning", "failed"])
        self.assertIn("did you mean org/model?", found["model"]["message"])
        self.assertEqual(found["model"]["hint"], "whisperengine use '%s#org/model'" % server.address)
        self.assertIn("org/modle", found["reply"]["message"])
        server.fault = on_reply(lambda r: r.answer(200, {"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}))
        found = self.pipeline(self.validate(status=0))
        self.assertEqual([found[n]["status"] for n in ["endpoint", "model", "reply"]], ["passed", "warning", "passed"])
        self.write("LLM_CHAT_API_URL=%s\n" % server.address)
        found = self.pipeline(self.validate(status=1))
        self.assertEqual(found["model"]["status"], "failed")
        self.assertIn("org/other", found["model"]["message"])

    def test_nobody_there(self):
        self.write("LLM_CHAT_API_URL=http://127.0.0.1:9/v1\n")
        found = self.pipeline(self.validate(status=1))
        self.assertEqual(found["endpoint"]["hint"], "curl -sS 'http://127.0.0.1:9/v1/models'")
        self.assertNotIn("reply", found)

    def test_reply_that_fails(self):
        server = self.serve()
        server.fault = on_reply(lambda r: r.answer(500, {"error": {"message": "no memory"}}))
        self.write("LLM_CHAT_API_URL=%s\n" % server.address)
        self.assertIn("no memory", self.pipeline(self.validate(status=1))["reply"]["message"])

    def test_fallback(self):
        server = self.serve()
        directory = self.make("plain")
        self.environment["OLLAMA_API_URL"] = server.address
        self.write("LLM_CHAT_API_URL=mlx://org/one\n")
        value = self.validate(status=0)
        told = [c for c in value["checks"] if c["name"] == "fallback"]
        self.assertEqual([c["status"] for c in told], ["skipped", "passed"])
        self.assertIn("Ollama", told[1]["message"])
        directory.cut("model.safetensors", 1000)
        reply = self.pipeline(self.validate(status=1))["reply"]
        self.assertEqual(reply["status"], "warning")
        self.assertIn("Ollama answers in its place", reply["message"])
        value = self.validate(status=1, env={"WHISPERENGINE_FALLBACK": "0"})
        self.assertEqual(self.pipeline(value)["reply"]["status"], "failed")
        value = self.validate("-m", "org/one", status=1)
        self.assertEqual(self.pipeline(value)["reply"]["status"], "failed")


class Form(ValidateCase):
    def test_text(self):
        self.make("plain")
        done = self.run_command("validate", "--no-speed", "-m", "org/one")
        text = done.stdout.decode()
        self.assertEqual((done.returncode, done.errors), (0, ""))
        self.assertNotIn("\x1b", text)
        for heading in ["Platform\n", "\nConfiguration\n", "\nFiles\n", "\nMemory\n", "\nGeneration\n", "\nIntegration\n", "\nPipeline\n"]:
            self.assertIn(heading, text)
        self.assertRegex(text, r"\nIt works, with warnings: \d+ passed, 1 warning, 0 failed, \d+ skipped, in [\d.]+ s\n$")
        self.assertRegex(text, r"(?m)^  ✓ tokenizer {9}320 tokens")
        ascii_text = self.run_command("validate", "--no-speed", "-m", "org/one", env={"LC_ALL": "C", "LANG": "C"}).stdout
        self.assertRegex(ascii_text.decode("ascii", "replace"), r"(?m)^  ok   tokenizer {9}320 tokens")

    def test_failure(self):
        self.make("plain").remove("tokenizer.json")
        done = self.run_command("validate", "--no-speed", "-m", "org/one")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout.decode(), r"(?m)^  ✗ tokenizer .*\n    try:  whisperengine pull org/one --check$")
        self.assertIn("It does not work as it is: ", done.stdout.decode())

    def test_terminals(self):
        self.make("plain").remove("tokenizer.json")
        terminal = self.terminal("validate", "--no-speed", "-m", "org/one")
        self.assertEqual(terminal.end(), 1)
        self.assertIn("\x1b[32m✓", terminal.screen.raw)
        self.assertIn("\x1b[1;31m✗", terminal.screen.raw)
        self.assertIn("    try:  whisperengine pull org/one --check", terminal.screen.text())
        terminal = self.terminal("validate", "--no-speed", "-m", "org/one", env={"NO_COLOR": "1"})
        self.assertEqual(terminal.end(), 1)
        self.assertNotRegex(terminal.screen.raw, r"\x1b\[\d*(;\d+)?m")
        terminal = self.terminal("validate", "--no-speed", "-m", "org/one", columns=40)
        self.assertEqual(terminal.end(), 1)
        text = terminal.screen.text()
        self.assertLessEqual(max(len(line) for line in text.splitlines() if "/" not in line and "try:" not in line), 40)
        self.assertRegex(text, r"(?m)^  ✓ tokens\n    16 tokens come")

    def test_names_that_would_command_the_terminal(self):
        directory = self.make("plain", "models/mlx/org/a\x1b[31mb")
        directory.remove("tokenizer.json")
        done = self.run_command("validate", "--no-speed", "-m", directory.root)
        self.assertNotIn(b"\x1b", re.sub(rb"(?m)^    try:.*$", b"", done.stdout))

    def test_each_check_is_documented(self):
        with open(os.path.join(os.environ["SOURCE_ROOT"], "docs", "testing.md")) as f:
            documented = set(re.findall(r"(?m)^\| (%s) \| ([^|]+) \|" % "|".join(GROUPS), f.read()))
        self.make("plain")
        server = self.serve()
        told = set()

        def look(*args, **kw):
            told.update((c["group"], c["name"]) for c in self.validate(*args, **kw)["checks"])

        look(status=1)
        look("-m", "org/one", speed=True)
        self.write("LLM_CHAT_API_URL=%s\nLOCAL_MODELS_DIR=models\nBOT_SYSTEM_PROMPT_FILE=.env\nLM_STUDIO_API_URL=x\nLOG_DIR=.env\n"
                   % server.address)
        del self.environment["LM_STUDIO_API_URL"]
        look(status=1)
        # Of the default model alone.
        self.assertEqual(documented, told | {("integration", "prompt")})

    def test_usage(self):
        self.bad(2, "validate", "--temp", "3", contains="no option --temp")
        self.bad(2, "validate", "org/one", contains="one word too many")


if __name__ == "__main__":
    main()
