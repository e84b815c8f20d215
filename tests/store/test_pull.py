"""`pull` and `remove` against a Hub on the loopback that cuts, lies and stalls."""
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli")]
from hub_server import COMMIT, Hub, Model, NOT_NEEDED, git_hash, small_model  # noqa: E402
from support import COMMAND, PATIENCE, Case  # noqa: E402

RECORD = ".whisperengine-download.json"
SHARD = "model-00001-of-00002.safetensors"
NAME = "org/name"


class PullCase(Case):
    def setUp(self):
        super().setUp()
        self.model = Model(small_model())
        self.hub = Hub({NAME: self.model})
        self.addCleanup(self.hub.close)
        self.environment.update(HF_ENDPOINT=self.hub.endpoint, no_proxy="*", LOCAL_MODELS_DIR=self.path("models"))
        self.folder_of_model = self.path("models", "mlx", "org", "name")

    def pull(self, *args, status=0, name=NAME, contains=(), **kw):
        done = self.run_command("pull", name, *args, **kw)
        self.assertEqual(done.returncode, status, done.errors)
        self.assertEqual(done.stdout, b"")
        for text in [contains] if isinstance(contains, str) else contains:
            self.assertIn(text, done.errors)
        return done.errors

    def files(self, folder=None):
        folder = folder or self.folder_of_model
        found = {}
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                with open(path, "rb") as f:
                    found[os.path.relpath(path, folder)] = f.read()
        return found

    def wanted(self, model=None):
        return {k: v for k, v in (model or self.model).files.items() if k not in NOT_NEEDED}

    def assert_whole(self, model=None):
        """Exactly the files of the model, and a record that says complete."""
        found = self.files()
        record = json.loads(found.pop(RECORD))
        self.assertEqual({k: hashlib.sha256(v).hexdigest() for k, v in found.items()},
                         {k: hashlib.sha256(v).hexdigest() for k, v in self.wanted(model).items()})
        self.assertTrue(record["complete"])
        self.assertEqual(os.listdir(self.path("models", "mlx", "org")), ["name"])  # no lock stays

    def assert_never_wrong(self, *models):
        """Whatever has a final name has the right bytes."""
        if not os.path.isdir(self.folder_of_model):
            return
        for name, data in self.files().items():
            if name == RECORD or name.endswith((".part", ".tmp")):
                continue
            self.assertIn(data, [m.files.get(name) for m in models or [self.model]], name)

    def listed(self):
        return {m["name"]: m["complete"] for m in json.loads(self.good("list", "--json"))}

    def file_requests(self):
        return [r for r in self.hub.requests if r[0] == "cdn" or "/resolve/" in r[1]]


class Fetching(PullCase):
    def test_whole(self):
        errors = self.pull(contains=["11 of 11 files fetched", self.folder_of_model])
        self.assertEqual(len(errors.splitlines()), 1)  # no progress where there is no terminal
        self.assert_whole()
        self.assertEqual(self.listed(), {NAME: True})
        self.assertEqual(self.hub.sent, sum(map(len, self.wanted().values())))

    def test_again_asks_nobody(self):
        self.pull()
        del self.hub.requests[:]
        self.pull(contains="is here")
        self.pull(name="mlx://" + NAME, contains="is here")
        self.pull(name=self.hub.endpoint + "/" + NAME, contains="is here")
        self.pull(name=NAME + "@" + COMMIT[:8], contains="is here")
        self.pull("--check", contains="11 files checked")
        self.pull(env={"HF_HUB_OFFLINE": "1"}, contains="is here")
        self.assertEqual(self.hub.requests, [])

    def test_force_fetches_what_differs(self):
        self.pull()
        self.hub.sent = 0
        self.pull("--force", contains="is here")
        self.assertEqual(self.hub.sent, 0)
        old, new = self.model, Model({**self.model.files, "config.json": b'{"model_type": "llama"}'}, "b" * 40)
        new.files.pop("chat_template.jinja")
        self.hub.models[NAME] = new
        self.pull(contains="is here")
        self.pull(name=NAME + "@" + "b" * 40, contains="1 of 10 files fetched")
        self.assert_whole(new)
        self.hub.models[NAME] = old
        self.pull("--force", contains="2 of 11 files fetched")
        self.assert_whole(old)

    def test_an_update_that_fails_leaves_the_old_revision(self):
        self.pull()
        new = Model(small_model(2), "b" * 40)
        self.hub.models[NAME] = new
        self.hub.fault = lambda r: r.cdn and r.name.startswith("model-00001") and r.answer(404)
        self.pull("--force", "--retries", "1", status=1)
        self.assertEqual(self.listed(), {NAME: True})
        found = {k: v for k, v in self.files().items() if k != RECORD and not k.endswith(".part")}
        self.assertEqual(found, self.wanted())
        self.hub.fault = lambda r: False
        self.pull("--force")
        self.assert_whole(new)

    def test_several_connections(self):
        """One large file comes over several connections at once, in pieces that fit together."""
        self.model = self.hub.models[NAME] = Model({**small_model(), SHARD: random.Random(3).randbytes(70 << 20)})
        at_once, most = set(), [0]

        def fault(r):
            if r.cdn and r.name == SHARD:
                at_once.add(r.range)
                most[0] = max(most[0], len(at_once))
                time.sleep(0.2)
                r.answer(*r.part(self.model.files[SHARD]))
                at_once.discard(r.range)
                return True
        self.hub.fault = fault
        self.pull()
        self.assert_whole()
        self.assertGreaterEqual(most[0], 3)
        self.assertEqual(len([r for r in self.hub.requests if r[0] == "cdn" and SHARD in r[1]]), 5)

    def test_two_at_once_do_the_work_once(self):
        self.hub.fault = lambda r: r.cdn and time.sleep(0.5)
        results = []

        def work():
            results.append(self.run_command("pull", NAME))
        threads = [threading.Thread(target=work) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([r.returncode for r in results], [0, 0, 0], [r.errors for r in results])
        self.assert_whole()
        self.assertEqual(self.hub.sent, sum(map(len, self.wanted().values())))
        self.assertEqual(sum("is here" in r.errors for r in results), 2)

    def test_token_goes_to_the_hub_alone(self):
        secret = "hf_verysecret"
        self.hub.fault = lambda r: r.is_file and not r.cdn and r.token is None and r.answer(401, headers={"X-Error-Code": "GatedRepo"})
        errors = self.pull(status=1, contains=["accept", self.hub.endpoint + "/" + NAME, "set HF_TOKEN"])
        errors += self.pull(env={"HF_TOKEN": secret})
        self.assert_whole()
        self.assertNotIn(secret, errors)
        tokens = {r[0]: set() for r in self.hub.requests}
        for server, _, token, _ in self.hub.requests:
            tokens[server].add(token)
        self.assertEqual(tokens["hub"], {None, "Bearer " + secret})
        self.assertEqual(tokens["cdn"], {None})
        for data in self.files().values():
            self.assertNotIn(secret.encode(), data)

    def test_token_that_was_saved(self):
        os.makedirs(self.path(".cache", "huggingface"))
        with open(self.path(".cache", "huggingface", "token"), "w") as f:
            f.write("hf_saved\n")
        self.pull()
        self.assertIn("Bearer hf_saved", {r[2] for r in self.hub.requests})

    def test_a_foreign_env_file_gets_no_token(self):
        """.env may come with somebody's folder; it must not lead the user's token elsewhere."""
        with open(self.path(".env"), "w") as f:
            f.write("HF_ENDPOINT=%s\n" % self.hub.endpoint)
        del self.environment["HF_ENDPOINT"]
        self.pull(env={"HF_TOKEN": "hf_mine"})
        self.assertEqual({r[2] for r in self.hub.requests}, {None})


class Faults(PullCase):
    def test_cut_connections(self):
        cuts = [0]

        def fault(r):
            if r.is_file and r.name.endswith((".safetensors", "tokenizer.json")) and (r.cdn or r.name not in self.model.lfs):
                status, body, headers = r.part(self.model.files[r.name])
                if len(body) > 4000:
                    cuts[0] += 1
                    return r.answer(status, body, headers, send=max(1, len(body) // 2))
        self.hub.fault = fault
        self.pull()
        self.assert_whole()
        self.assertGreater(cuts[0], 8)

    def test_a_server_without_ranges(self):
        whole = self.model.files[SHARD]
        first = [True]

        def fault(r):
            if r.cdn and r.name == SHARD:
                send, first[0] = (len(whole) // 2 if first[0] else None), False
                return r.answer(*r.part(whole, ranges=False), send=send)
        self.hub.fault = fault
        self.pull()
        self.assert_whole()

    def test_a_large_file_without_ranges(self):
        self.model = self.hub.models[NAME] = Model({**small_model(), SHARD: random.Random(3).randbytes(40 << 20)})
        self.hub.fault = lambda r: r.cdn and r.name == SHARD and r.answer(*r.part(self.model.files[SHARD], ranges=False))
        self.pull()
        self.assert_whole()

    def test_a_range_that_was_not_asked_for(self):
        def fault(r):
            if r.cdn and r.name == SHARD and r.range:
                return r.answer(206, self.model.files[SHARD], {"Content-Range": "bytes 0-9/10"})
            if r.cdn and r.name == SHARD and not cut:
                cut.append(1)
                return r.answer(200, self.model.files[SHARD], send=1000)
        cut = []
        self.hub.fault = fault
        self.pull()
        self.assert_whole()

    def test_wrong_bytes(self):
        bad = bytes(len(self.model.files[SHARD]))
        times = [0]

        def fault(r):
            if r.cdn and r.name == SHARD:
                times[0] += 1
                return (times[0] <= wrong and r.answer(*r.part(bad)))
        self.hub.fault = fault
        wrong = 1
        self.pull()
        self.assert_whole()
        self.run_command("remove", NAME)
        times[0], wrong = 0, 100
        self.pull(status=1, contains=["other bytes than the Hub announces", "SHA-256", hashlib.sha256(bad).hexdigest()])
        self.assertEqual(times[0], 2)
        self.assertNotIn(SHARD, self.files())
        self.assertFalse([n for n in self.files() if n.startswith(SHARD)])
        self.assertEqual(self.listed(), {NAME: False})

    def test_wrong_bytes_of_a_small_file(self):
        self.hub.fault = lambda r: r.name == "config.json" and r.answer(200, b"x" * len(self.model.files["config.json"]))
        self.pull(status=1, contains=["config.json", "git hash", git_hash(self.model.files["config.json"])])
        self.assertNotIn("config.json", self.files())

    def test_wrong_sizes(self):
        good = self.model.files[SHARD]
        self.hub.fault = lambda r: r.cdn and r.name == SHARD and r.answer(200, good + b"more")
        self.pull(status=1, contains="longer than the 300000 bytes")
        self.hub.fault = lambda r: r.cdn and r.name == SHARD and r.answer(*r.part(good[:-10]))
        self.pull("--retries", "2", status=1, contains="shorter than the 300000 bytes")
        self.assert_never_wrong()
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 300000\n"
        self.hub.fault = lambda r: r.name == SHARD and r.answer(200, pointer)
        self.pull("--retries", "2", status=1, contains="shorter than the 300000 bytes")
        self.assert_never_wrong()
        self.hub.fault = lambda r: False
        self.pull()
        self.assert_whole()

    def test_hashes_in_other_forms(self):
        def fault(r):
            if r.path.startswith("/api/"):
                listing = self.model.listing()
                for file in listing["siblings"]:
                    file["blobId"] = file["blobId"].upper()
                    if "lfs" in file:
                        file["lfs"] = {"oid": "sha256:" + file["lfs"]["sha256"].upper(), "size": file["size"]}
                return r.answer(200, json.dumps(listing | {"sha": listing["sha"].upper()}).encode())
        self.hub.fault = fault
        self.pull()
        self.assert_whole()

    def test_retries(self):
        left = {500: 2, 503: 2, 408: 1, 429: 1}

        def fault(r):
            for status in left:
                if left[status]:
                    left[status] -= 1
                    return r.answer(status, b"no", {"Retry-After": "1"} if status == 429 else {})
        self.hub.fault = fault
        self.pull("--retries", "20")
        self.assert_whole()
        self.assertFalse(any(left.values()))

    def test_retry_after(self):
        times = []

        def fault(r):
            if r.cdn and r.name == SHARD:
                times.append(time.monotonic())
                return len(times) == 1 and r.answer(429, b"", {"Retry-After": "2"})
        self.hub.fault = fault
        self.pull(contains="asks to wait 2 seconds")
        self.assertGreater(times[1] - times[0], 1.9)

    def test_retry_after_too_long(self):
        self.hub.fault = lambda r: r.answer(429, b"", {"Retry-After": "86400"})
        start = time.monotonic()
        self.pull(status=1, contains=["too many requests (HTTP 429)", "in 86400 seconds"])
        self.assertLess(time.monotonic() - start, 30)

    def test_errors_that_last(self):
        self.hub.fault = lambda r: r.answer(500)
        self.pull("--retries", "2", status=1, contains="has a problem of its own (HTTP 500)")
        self.assertEqual(len(self.hub.requests), 3)
        self.hub.fault = lambda r: r.is_file and r.answer(502)
        self.pull("--retries", "1", status=1, contains="HTTP 502")

    def test_redirect_loop(self):
        self.hub.fault = lambda r: r.is_file and r.answer(302, b"", {"Location": self.hub.cdn + urllib.parse.quote(r.path)})
        self.pull(status=1, contains="redirects again and again")

    def test_redirects_to_other_protocols(self):
        for where in ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "nonsense://"]:
            self.hub.fault = lambda r: r.is_file and r.answer(302, b"", {"Location": where})
            self.pull(status=1, contains="HTTP 302")
        self.assert_never_wrong()

    def test_a_slow_drip(self):
        data = self.model.files["tokenizer.json"]

        def fault(r):
            if r.name == "tokenizer.json" and r.is_file:
                r.handler.send_response(200)
                r.handler.send_header("Content-Length", str(len(data)))
                r.handler.end_headers()
                for i in range(0, len(data), 500):
                    r.handler.wfile.write(data[i:i + 500])
                    time.sleep(0.1)
                return True
        self.hub.fault = fault
        self.pull()
        self.assert_whole()

    def test_expired_address(self):
        """An address behind a redirect that stops working is asked for anew."""
        self.model = self.hub.models[NAME] = Model({**small_model(), SHARD: random.Random(3).randbytes(40 << 20)})
        seen = []

        def fault(r):
            if r.cdn and r.name == SHARD:
                seen.append(r.range)
                return len(seen) == 3 and r.answer(403, b"expired")
        self.hub.fault = fault
        self.pull("--connections", "1")
        self.assert_whole()
        self.assertEqual(len(seen), 4)

    def test_hostile_names(self):
        for name in ["../../evil.json", "/etc/evil.json", "a/../../evil.json", "..", "evil\0.json", "./evil.json", "a//b.json",
                     "x/" * 300 + "y.json", "evil\n.json", ""]:
            self.hub.models[NAME] = Model({**small_model(), name: b"evil"})
            self.pull(status=1, contains="would lead out of the model's directory")
        self.assertFalse(os.path.exists(self.path("models", "mlx", "org")))
        self.assertEqual([r for r in self.file_requests()], [])
        for name in [".whisperengine-download.json", ".env"]:
            self.hub.models[NAME] = Model({**small_model(), name: b'{"complete": true}'})
            self.pull()
            self.assert_whole()
            self.run_command("remove", NAME)

    def test_answers_that_are_no_listing(self):
        for body, text in [(b"\n <html>", "a web page, not a list of files"), (b"[]", "api/models"), (b"{}", "no \"siblings\""), (b'{"sha": "' + b"a" * 40, "api/models"),
                           (b'{"sha": "' + b"a" * 40 + b'", "siblings": [{"rfilename": "config.json"}]}', "no *.safetensors"),
                           (b'{"sha": "' + b"a" * 40 + b'", "siblings": [{"rfilename": "config.json", "size": 1},'
                            b'{"rfilename": "model.safetensors", "size": 4}]}', "no hash for"),
                           (b'{"sha": "../../../../x", "siblings": []}', 'no "sha"')]:
            self.hub.fault = lambda r: r.answer(200, body)
            self.pull(status=1, contains=text)
        self.hub.fault = lambda r: r.handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n") and r.cut()
        self.pull(status=1, contains="what it sends is no HTTP")

    def test_no_space(self):
        self.model = self.hub.models[NAME] = Model(small_model())
        listing = self.model.listing()
        for s in listing["siblings"]:
            if s["rfilename"] == SHARD:
                s["lfs"]["size"] = 1 << 49
        self.hub.fault = lambda r: "/api/" in r.path and r.answer(200, json.dumps(listing).encode())
        self.pull(status=1, contains=["needs 563 TB more", "free", "LOCAL_MODELS_DIR"])
        self.assertEqual(self.file_requests(), [])

    def test_a_limit_on_files(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        done = subprocess.run([COMMAND, "pull", NAME], cwd=self.folder, env=self.environment, preexec_fn=limit, capture_output=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"make room", done.stderr)
        self.assert_never_wrong()
        self.hub.sent = 0
        self.pull()
        self.assert_whole()
        self.assertLess(self.hub.sent, 330000)  # the part was used

    def test_a_file_in_the_way(self):
        os.makedirs(self.path("models"))
        with open(self.path("models", "mlx"), "w"):
            pass
        self.pull(status=1, contains=[self.path("models", "mlx"), "the folder cannot be made"])

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_no_rights(self):
        os.makedirs(self.path("models"), 0o500)
        self.pull(status=1, contains=["the folder cannot be made", "Permission denied"])

    def test_no_network(self):
        self.pull(status=1, env={"HF_ENDPOINT": "http://127.0.0.1:1"}, contains=["127.0.0.1", "check the network"])
        self.pull(status=1, env={"HF_ENDPOINT": "http://nowhere.invalid"}, contains=["nowhere.invalid", "check the network"])
        self.pull(status=1, env={"HF_ENDPOINT": "file:///etc"}, contains="HF_ENDPOINT")

    def test_offline(self):
        self.pull(status=1, env={"HF_HUB_OFFLINE": "1"}, contains=["not on this machine", "HF_HUB_OFFLINE"])
        self.assertEqual(self.hub.requests, [])
        self.bad(2, "pull", NAME, env={"HF_HUB_OFFLINE": "maybe"}, contains=["HF_HUB_OFFLINE", "1, true, yes, on"])

    def test_names(self):
        self.hub.models["mlx-community/SmolLM2-135M-Instruct-4bit"] = self.model
        self.hub.models["mlx-community/SmolLM2-135M-Instruct-8bit"] = self.model
        for name in ["mlx-community/SmolLM2-135M-Instruct-4bit-4bit", "mlx-comunity/SmolLM2-135M-Instruct-4bit"]:
            self.pull(name=name, status=1, contains=["has no model", 'did you mean "mlx-community/SmolLM2-135M-Instruct-4bit"'])
        self.pull(name="org/xyzzy", status=1, contains="has no model \"org/xyzzy\"")
        self.pull(name=NAME + "@nothing", status=1, contains="no revision \"nothing\"")
        for name in ["name", "a/b/c", "/a/b", "../x", "a/..", "a/b@", "org/na me", "http://elsewhere.example/a/b"]:
            self.pull(name=name, status=1)
        self.assertFalse(os.path.exists(self.path("models", "mlx", "org")))

    def test_gated(self):
        self.hub.fault = lambda r: r.is_file and r.answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        self.pull(status=1, env={"HF_TOKEN": "hf_x"}, contains=["access is refused (HTTP 403)", "check that HF_TOKEN"])
        self.hub.fault = lambda r: r.answer(401, b"{}")
        self.pull(status=1, env={"HF_TOKEN": "hf_x"}, contains="HF_TOKEN is not valid")


class Kills(PullCase):
    def kill_at(self, seconds):
        child = subprocess.Popen([COMMAND, "pull", NAME], cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def slow(self, r):
        """Files come in pieces, so that kills fall into the middle of them."""
        if not r.is_file or (r.name in self.hub.models[NAME].lfs and not r.cdn):
            return False
        name = r.path.split("/resolve/%s/" % self.hub.models[NAME].commit)[-1] if not r.cdn else r.name
        status, body, headers = r.part(self.hub.models[NAME].files[name])
        r.handler.send_response(status)
        r.handler.send_header("Content-Length", str(len(body)))
        for k, v in headers.items():
            r.handler.send_header(k, v)
        r.handler.end_headers()
        for i in range(0, len(body), 20000):
            r.handler.wfile.write(body[i:i + 20000])
            time.sleep(0.004)
        return True

    def test_kills(self):
        """The revision changes now and then: bytes of two revisions must never meet in a file."""
        rounds = int(os.environ.get("KILLS", "20"))
        rng = random.Random(int(os.environ.get("SEED", "7")))
        models = [self.model, Model(small_model(2), "b" * 40), Model({**small_model(1), "config.json": b"{}"}, "c" * 40)]
        self.hub.fault = self.slow
        whole = 0
        for i in range(rounds):
            self.hub.models[NAME] = models[rng.choice([0, 0, 0, 1, 2])]
            self.kill_at(rng.uniform(0.005, 0.4))
            self.assert_never_wrong(*models)
            if self.listed().get(NAME):
                whole += 1
                found = {k: v for k, v in self.files().items() if k != RECORD and not k.endswith((".part", ".tmp"))}
                self.assertIn(found, [self.wanted(m) for m in models])
                if rng.random() < 0.7:
                    self.run_command("remove", NAME)
        self.hub.models[NAME] = models[1]
        self.pull("--force")
        found = self.files()
        self.assertFalse([n for n in found if n.endswith(".part")])
        self.assertEqual({k: v for k, v in found.items() if k != RECORD and not k.endswith(".tmp")}, self.wanted(models[1]))

    def test_resume_fetches_the_rest_only(self):
        data = self.model.files[SHARD]
        self.hub.fault = lambda r: r.cdn and r.name == SHARD and (
            r.answer(*r.part(data), send=200000) if r.range is None else r.cut())
        self.pull("--retries", "1", status=1)
        part = os.path.join(self.folder_of_model, SHARD + "." + hashlib.sha256(data).hexdigest() + ".part")
        self.assertEqual(os.path.getsize(part), 200000)
        self.hub.fault = lambda r: False
        self.hub.sent = 0
        del self.hub.requests[:]
        self.pull()
        self.assert_whole()
        self.assertEqual([r[3] for r in self.hub.requests if r[0] == "cdn" and SHARD in r[1]], ["bytes=200000-299999"])

    def test_a_part_that_was_damaged(self):
        """What a crash of the machine may leave: a part of the right name with other bytes. It is found out, and fetched again."""
        for size in [1000, 300000, 400000]:
            os.makedirs(self.folder_of_model)
            part = os.path.join(self.folder_of_model, SHARD + "." + hashlib.sha256(self.model.files[SHARD]).hexdigest() + ".part")
            with open(part, "wb") as f:
                f.write(bytes(size))
            self.pull()
            self.assert_whole()
            self.run_command("remove", NAME)

    def test_interrupt(self):
        self.hub.fault = self.slow
        self.model = self.hub.models[NAME] = Model(small_model(1, 4000000))
        child = subprocess.Popen([COMMAND, "pull", NAME], cwd=self.folder, env=self.environment, stderr=subprocess.PIPE)
        deadline = time.monotonic() + PATIENCE
        part = os.path.join(self.folder_of_model, SHARD + "." + hashlib.sha256(self.model.files[SHARD]).hexdigest() + ".part")
        while time.monotonic() < deadline and not (os.path.exists(part) and os.path.getsize(part) > 100000):
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=PATIENCE)[1].decode()
        self.assertEqual(child.returncode, 130, errors)
        self.assertIn("what was fetched is kept", errors)
        self.assertEqual(self.listed(), {NAME: False})
        self.bad(1, "run", "-m", NAME, "-p", "x", contains=["its download did not end", "whisperengine pull org/name"])
        there = os.path.getsize(part)
        self.hub.fault = lambda r: False
        self.hub.sent = 0
        self.pull()
        self.assert_whole()
        self.assertLessEqual(self.hub.sent, sum(map(len, self.wanted().values())) - there)


class Checking(PullCase):
    def damage(self, *names):
        for name in names:
            with open(os.path.join(self.folder_of_model, name), "r+b") as f:
                f.seek(-1, os.SEEK_END)
                last = f.read(1)
                f.seek(-1, os.SEEK_END)
                f.write(bytes([last[0] ^ 1]))

    def test_repair(self):
        self.pull()
        self.damage(SHARD, "config.json")
        os.remove(os.path.join(self.folder_of_model, "chat_template.jinja"))
        self.hub.sent = 0
        self.pull("--check", contains=[SHARD + " is broken", "config.json is broken", "chat_template.jinja is missing",
                                       "3 of 11 files fetched"])
        self.assertEqual(self.hub.sent, sum(len(self.model.files[n]) for n in [SHARD, "config.json", "chat_template.jinja"]))
        self.assert_whole()

    def test_repair_that_is_killed(self):
        self.pull()
        self.damage(SHARD)
        self.hub.fault = lambda r: r.cdn and r.answer(404)
        self.pull("--check", "--retries", "1", status=1)
        self.assertEqual(self.listed(), {NAME: False})
        self.hub.fault = lambda r: False
        self.pull()
        self.assert_whole()

    def test_a_model_that_no_pull_made(self):
        for name, data in self.wanted().items():
            os.makedirs(os.path.dirname(os.path.join(self.folder_of_model, name)), exist_ok=True)
            with open(os.path.join(self.folder_of_model, name), "wb") as f:
                f.write(data)
        self.pull(contains="is here")
        self.assertEqual(self.hub.requests, [])
        self.damage("config.json")
        changed = self.files()
        self.pull("--check", status=1, contains=["config.json differs", "--force"])
        self.assertEqual(self.files(), changed)
        self.pull("--force", contains="1 of 11 files fetched")
        self.assert_whole()

    def cache(self):
        root = self.path(".cache", "huggingface", "hub", "models--org--name")
        snapshot = os.path.join(root, "snapshots", COMMIT)
        os.makedirs(os.path.join(root, "blobs"))
        os.makedirs(os.path.join(root, "refs"))
        os.makedirs(snapshot)
        with open(os.path.join(root, "refs", "main"), "w") as f:
            f.write(COMMIT)
        for name, data in self.wanted().items():
            if "/" in name:
                continue
            blob = hashlib.sha256(data).hexdigest() if name in self.model.lfs else git_hash(data)
            with open(os.path.join(root, "blobs", blob), "wb") as f:
                f.write(data)
            os.symlink("../../blobs/" + blob, os.path.join(snapshot, name))
        return root, snapshot

    def test_the_cache_of_the_hub(self):
        root, snapshot = self.cache()
        self.pull(contains=["is in the Hugging Face cache, and is used there", snapshot])
        self.pull("--check", contains="10 files checked")
        self.assertEqual(self.hub.requests, [])
        self.bad(1, "remove", NAME, contains=["is in the Hugging Face cache", snapshot])
        blob = os.path.realpath(os.path.join(snapshot, SHARD))
        with open(blob, "r+b") as f:
            f.write(b"XX")
        self.pull("--check", contains=["is broken", snapshot, "fetched"])
        self.assertEqual(os.path.realpath(os.path.join(snapshot, SHARD)), blob)
        with open(blob, "rb") as f:
            self.assertEqual(f.read(), self.model.files[SHARD])
        self.assertFalse(os.path.exists(self.folder_of_model))
        self.pull("--force", contains=self.folder_of_model)
        self.assert_whole()


class Removing(PullCase):
    def test_remove(self):
        self.pull()
        self.assertIn("is removed", self.run_command("remove", NAME).errors)
        self.assertEqual(os.listdir(self.path("models", "mlx")), [])
        self.bad(1, "remove", NAME, contains="no model \"org/name\"")

    def test_unfinished(self):
        self.hub.fault = lambda r: r.cdn and r.answer(404)
        self.pull("--retries", "1", status=1)
        self.assertEqual(self.listed(), {NAME: False})
        self.assertIn("is removed", self.run_command("remove", NAME).errors)
        self.assertEqual(self.listed(), {})

    def test_nothing_else_is_removed(self):
        self.pull()
        for name in ["org", "..", ".", "../..", self.folder_of_model, "org/../org/name", "org/", "org/nam"]:
            self.bad(1, "remove", name, contains="")
        self.assert_whole()

    def test_a_link_goes_and_its_target_stays(self):
        self.pull()
        elsewhere = self.path("elsewhere")
        os.rename(self.folder_of_model, elsewhere)
        os.symlink(elsewhere, self.folder_of_model)
        self.assertEqual(self.run_command("remove", NAME).returncode, 0)
        self.assertFalse(os.path.lexists(self.folder_of_model))
        self.assertIn(SHARD, os.listdir(elsewhere))


class OnATerminal(PullCase):
    def test_offer(self):
        t = self.terminal("run", "-m", NAME, "-p", "x")
        t.wait_for("Fetch it from the Hugging Face Hub? [Y/n]")
        t.send("n\n")
        t.wait_for("whisperengine pull org/name")
        self.assertEqual(self.file_requests(), [])
        t = self.terminal("run", "-m", NAME, "-p", "x")
        t.wait_for("[Y/n]")
        t.send("\n")
        t.wait_for("files fetched")
        self.assert_whole()

    def test_no_offer_without_a_terminal(self):
        self.bad(1, "run", "-m", NAME, "-p", "x", contains="whisperengine pull org/name")
        self.assertEqual(self.hub.requests, [])

    def test_progress(self):
        self.model = self.hub.models[NAME] = Model(small_model(1, 6000000))
        self.hub.fault = lambda r: Kills.slow(self, r)
        t = self.terminal("pull", NAME)
        t.wait_for("left")
        t.wait_for("files fetched")
        self.assertIn("/s", t.screen.raw)

    def test_remove_asks(self):
        self.pull()
        t = self.terminal("remove", NAME)
        t.wait_for("[y/N]")
        t.send("\n")
        t.wait_for("Nothing was removed")
        self.assert_whole()


if __name__ == "__main__":
    unittest.main()
