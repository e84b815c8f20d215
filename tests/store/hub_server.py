"""A Hub on the loopback: the listing, the search, the files, and a second port that plays the CDN. Faults are injected by `fault`,
a function of a request that may answer it in another way."""
import hashlib
import json
import os
import sys
import threading
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import loopback  # noqa: E402

COMMIT = "a" * 40


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Model:
    """Files by name; those of `lfs` are known by their SHA-256 and redirected to the CDN."""

    def __init__(self, files, commit=COMMIT, lfs=(".safetensors",)):
        self.files, self.commit = dict(files), commit
        self.lfs = {name for name in files if name.endswith(tuple(lfs))}

    def listing(self):
        siblings = []
        for name, data in self.files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
            if name in self.lfs:
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return {"id": "org/name", "sha": self.commit, "siblings": siblings, "private": False}


class Request(loopback.Request):
    def __init__(self, handler, cdn):
        super().__init__(handler)
        self.cdn = cdn
        self.path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        self.query = urllib.parse.parse_qs(urllib.parse.urlsplit(handler.path).query)
        self.token = handler.headers.get("Authorization")
        self.range = handler.headers.get("Range")
        self.name = self.path.rsplit("/", 1)[-1]
        self.is_file = cdn or "/resolve/" in self.path

    def part(self, data, ranges=True):
        """Status, bytes and headers of what was asked for of `data`."""
        if not ranges or not self.range:
            return 200, data, {"ETag": '"x"'}
        first, _, last = self.range[len("bytes="):].partition("-")
        first, last = int(first), int(last) if last else len(data) - 1
        if first >= len(data):
            return 416, b"", {"Content-Range": "bytes */%d" % len(data)}
        last = min(last, len(data) - 1)
        return 206, data[first:last + 1], {"Content-Range": "bytes %d-%d/%d" % (first, last, len(data))}


class Hub:
    def __init__(self, models=None):
        self.models = models or {}
        self.fault = lambda request: False
        self.requests = []  # (server, path, token, range)
        self.lock = threading.Lock()
        self.sent = 0
        self.servers = [self.serve(False), self.serve(True)]
        self.endpoint, self.cdn = map(loopback.address, self.servers)

    def serve(self, cdn):
        def respond(handler, body):
            request = Request(handler, cdn)
            with self.lock:
                self.requests.append(("cdn" if cdn else "hub", request.path, request.token, request.range))
            self.fault(request) or self.respond(request)

        return loopback.serve(respond)

    def close(self):
        for server in self.servers:
            loopback.stop(server)

    def respond(self, r):
        parts = r.path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) == 2:
            words = r.query.get("search", [""])[0].lower()
            found = [{"id": name} for name in self.models if words in name.lower()]
            return r.answer(200, json.dumps(found).encode())
        if parts[:2] == ["api", "models"]:
            model = self.models.get("/".join(parts[2:4]))
            if model is None:
                return r.answer(401, b'{"error":"Invalid username or password."}', {"X-Error-Code": "RepoNotFound"})
            revision = "/".join(parts[5:]) if parts[4:5] == ["revision"] else "main"
            if revision not in ("main", model.commit):
                return r.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return r.answer(200, json.dumps(model.listing()).encode())
        if r.cdn:
            name, data = r.name, self.models["/".join(parts[:2])].files.get("/".join(parts[2:]))
            return r.answer(*self.counted(r.part(data)))
        model = self.models.get("/".join(parts[:2]))
        name = "/".join(parts[4:])
        if model is None or parts[3] != model.commit or name not in model.files:
            return r.answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})
        if name in model.lfs:
            where = "%s/%s/%s?signature=secret" % (self.cdn, "/".join(parts[:2]), urllib.parse.quote(name))
            return r.answer(302, b"Found", {"Location": where, "X-Linked-Etag": "x"})
        return r.answer(*self.counted(r.part(model.files[name])))

    def counted(self, answer):
        with self.lock:
            self.sent += len(answer[1])
        return answer


def small_model(seed=1, weights=300000):
    import random
    r = random.Random(seed)
    return {
        "config.json": b'{"model_type": "llama", "seed": %d}' % seed,
        "tokenizer.json": r.randbytes(5000), "tokenizer_config.json": b"{}", "generation_config.json": b"{}",
        "chat_template.jinja": b"{{ messages }}", "special_tokens_map.json": b"{}", "tokenizer.model": b"not needed",
        "model-00001-of-00002.safetensors": r.randbytes(weights), "model-00002-of-00002.safetensors": r.randbytes(weights // 3),
        "model.safetensors.index.json": json.dumps({"weight_map": {
            "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}).encode(),
        "README.md": b"words", ".gitattributes": b"x", "onnx/model.onnx": b"x" * 1000, "pytorch_model.bin": b"x" * 1000,
        "original/model.safetensors": b"x" * 1000, "consolidated.safetensors": b"x" * 1000, "empty.json": b"",
        "additional_chat_templates/tool use.jinja": b"{{ tools }}",
    }


NOT_NEEDED = {"README.md", ".gitattributes", "onnx/model.onnx", "pytorch_model.bin", "original/model.safetensors",
              "consolidated.safetensors", "tokenizer.model"}
