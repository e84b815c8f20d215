"""run, chat and use with endpoints of OpenAI's API on the loopback, which answer, refuse, stall, lie and break off."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli")]
from openai_server import Server, piece  # noqa: E402
from support import COMMAND, LLAMA, PATIENCE, Case  # noqa: E402

REPLY = "Hello, wörld!"


def free_port():
    """Where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RemoteCase(Case):
    def setUp(self):
        super().setUp()
        self.server = self.serve()
        nobody = "http://127.0.0.1:%d/v1" % free_port()
        self.environment.update(LM_STUDIO_API_URL=nobody, OLLAMA_API_URL=nobody)

    def serve(self, *args, **kw):
        server = Server(*args, **kw)
        self.addCleanup(server.close)
        return server

    def write(self, text):
        with open(self.path(".env"), "w") as f:
            f.write(text)

    def read(self):
        with open(self.path(".env")) as f:
            return f.read()

    def say(self, *args, **kw):
        return self.good("run", "-m", self.server.address, "-p", "Hi", *args, **kw).decode()

    def fails(self, *args, contains, output=b"", status=1, **kw):
        """run must fail, having printed `output`, and say each of `contains`."""
        done = self.run_command("run", "-m", self.server.address, "-p", "Hi", *args, **kw)
        self.assertEqual((done.returncode, done.stdout), (status, output), done.errors)
        for text in [contains] if isinstance(contains, str) else contains:
            self.assertIn(text, done.errors)
        return done.errors


def on_reply(answer):
    """A fault of requests for replies alone."""
    return lambda r: r.body is not None and answer(r)


class Replies(RemoteCase):
    def test_reply(self):
        self.assertEqual(self.say(), REPLY + "\n")
        (body,) = self.server.asked()
        self.assertEqual(body["messages"], [{"role": "user", "content": "Hi"}])
        self.assertEqual((body["model"], body["stream"], body["max_tokens"], body["temperature"], body["top_p"]),
                         ("org/model", True, 2048, 0.7, 0.9))
        self.assertEqual(len({r.handler.client_address for r in self.server.requests}), 1)  # one connection

    def test_what_is_sent(self):
        self.say("--system-prompt", "Be brief.", "--temp", "0", "--top-k", "5", "--min-p", "0.1", "--seed", "3", "--stop", "x",
                 "--repetition-penalty", "1.1", "--logit-bias", '{"7": -2}', "--chat-template-config", '{"enable_thinking": false}')
        (body,) = self.server.asked()
        self.assertEqual(body["messages"], [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
        for key, value in {"temperature": 0, "top_k": 5, "min_p": 0.1, "seed": 3, "stop": ["x"], "repetition_penalty": 1.1,
                           "logit_bias": {"7": -2}, "chat_template_kwargs": {"enable_thinking": False}}.items():
            self.assertEqual(body[key], value, key)

    def test_json(self):
        value = json.loads(self.say("--json"))
        self.assertEqual({k: value[k] for k in ["text", "tokens", "finish_reason", "prompt_tokens", "generation_tokens"]},
                         {"text": REPLY, "tokens": [], "finish_reason": "stop", "prompt_tokens": 12, "generation_tokens": 4})
        self.assertEqual(json.loads(self.say("--json", "--max-tokens", "2"))["finish_reason"], "length")
        done = self.run_command("run", "-m", self.server.address, "-p", "Hi", "-v")
        self.assertIn("4 of them were in the cache", done.errors)
        self.assertRegex(done.errors, r"answered in +[\d.]+ s at http://127")

    def test_plain_text(self):
        self.assertEqual(self.say("--ignore-chat-template"), REPLY + "\n")
        self.assertEqual(self.server.requests[-1].path, "/v1/completions")
        self.assertEqual(self.server.asked()[0]["prompt"], "Hi")

    def test_stop_strings_are_kept_here_too(self):
        self.assertEqual(self.say("--stop", ", wö"), "Hello\n")
        self.assertEqual(json.loads(self.say("--stop", "rld", "--json"))["finish_reason"], "stop")

    def test_addresses(self):
        for address in [self.server.root, self.server.address + "/", self.server.address + "/chat/completions",
                        self.server.address + "#org/model", self.server.address.replace("http:", "HTTP:"),
                        self.server.address.replace("127.0.0.1", "me:secret@127.0.0.1")]:
            done = self.run_command("run", "-m", address, "-p", "Hi", "-v")
            self.assertEqual((done.returncode, done.stdout.decode()), (0, REPLY + "\n"), (address, done.errors))
            self.assertNotIn("secret", done.errors)
        self.bad(1, "run", "-m", "http://", "-p", "x", contains="no address")
        self.bad(1, "run", "-m", "http://h h/v1", "-p", "x", contains="no address")

    def test_streams_of_all_kinds(self):
        def odd(r):
            r.begin({"Content-Type": "Text/Event-Stream"})
            r.send(b": keepalive\r\n\r\nevent: x\r\ndata: ")
            data = json.dumps(piece("Hello, wörld!"), ensure_ascii=False).encode()
            for i in range(0, len(data), 3):  # characters are cut, too
                r.send(data[i:i + 3])
            r.send(b"\r\n\r\ndata:" + json.dumps(piece(None, "stop")).encode() + b"\r\n\r\n")
            return r.end()  # without [DONE]

        def plain(r):
            return r.answer(200, {"choices": [{"message": {"content": REPLY}, "finish_reason": "stop"}], "usage": {
                "prompt_tokens": 3, "completion_tokens": 5}})

        def until_closed(r):
            h = r.handler
            h.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for text in ["Hello", ", wörld!"]:
                h.wfile.write(b"data: " + json.dumps(piece(text)).encode() + b"\n\n")
            h.wfile.write(b"data: [DONE]\n\n")
            h.close_connection = True
            return True

        def reasons_first(r):
            r.begin()
            r.event({"choices": [{"index": 0, "delta": {"reasoning_content": "Let me think"}}]})
            for text in ["Hello", ", wörld!"]:
                r.event(piece(text, usage={"prompt_tokens": 3, "completion_tokens": 1}))
            r.event(piece(None, "tool_calls"))
            r.event("[DONE]")
            return r.end()

        def open_end(r):  # [DONE] came, and nobody closes
            r.begin()
            r.event(piece(REPLY, "stop"))
            r.event("[DONE]")
            self.addCleanup(r.cut)
            threading.Event().wait(PATIENCE)
            return True

        def cut_after_the_end(r):
            r.begin()
            r.event(piece(REPLY, "stop"))
            return r.cut()
        for fault in [odd, plain, until_closed, reasons_first, open_end, cut_after_the_end]:
            self.server.fault = on_reply(fault)
            self.assertEqual(self.say(), REPLY + "\n", fault.__name__)

    def test_servers_without_usage(self):
        def refuse(r):
            return "stream_options" in r.body and r.answer(400, {"error": {"message": "Unknown parameter: stream_options"}})
        self.server.fault = on_reply(refuse)
        value = json.loads(self.say("--json"))
        self.assertEqual((value["text"], value["generation_tokens"], value["prompt_tokens"]), (REPLY, 4, 0))
        self.assertEqual(len(self.server.asked()), 2)

    def test_servers_that_call_it_otherwise(self):
        def refuse(r):
            if "max_tokens" in r.body:
                return r.answer(400, {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}})
            r.begin()
            r.event(piece(REPLY, "stop"))
            return r.end()
        self.server.fault = on_reply(refuse)
        self.assertEqual(self.say("--max-tokens", "9"), REPLY + "\n")
        self.assertEqual([b.get("max_completion_tokens") for b in self.server.asked()], [None, 9])
        self.server.fault = on_reply(lambda r: r.answer(400, {"error": "stream_options, max_completion_tokens: no"}))
        self.fails(contains="does not take the request (HTTP 400): stream_options")  # and it is not asked for ever
        self.assertEqual(len(self.server.asked()), 4)

    def test_which_model(self):
        self.server.models = ["org/one", "org/two"]
        self.fails(contains=["has 2 models; which one?", "LLM_CHAT_MODEL", "org/one, org/two"])
        self.assertEqual(self.say(env={"LLM_CHAT_API_URL": self.server.address, "LLM_CHAT_MODEL": "org/two"}), REPLY + "\n")
        self.assertEqual(self.good("run", "-p", "Hi", env={"LLM_CHAT_API_URL": self.server.address + "#org/one", "LLM_CHAT_MODEL": "x"}),
                         (REPLY + "\n").encode())
        self.assertEqual([b["model"] for b in self.server.asked()], ["org/two", "org/one"])
        self.server.fault = lambda r: r.path == "/v1/models" and r.answer(404)  # no list: the endpoint chooses
        self.say()
        self.assertNotIn("model", self.server.asked()[-1])
        self.server.fault = lambda r: r.path == "/v1/models" and r.answer(200)  # an empty answer
        self.say()
        self.server.fault = lambda r: r.path == "/v1/models" and r.cut()
        self.say()

    def test_replies_that_are_begun(self):
        for owner, more in [("vllm", {"add_generation_prompt": False, "continue_final_message": True}), ("library", {})]:
            self.server.owner = owner
            self.say("--prefill-response", "Well")
            body = self.server.asked()[-1]
            self.assertEqual(body["messages"][-1], {"role": "assistant", "content": "Well"})
            self.assertEqual({k: body[k] for k in ("add_generation_prompt", "continue_final_message") if k in body}, more)

    def test_what_an_endpoint_cannot_do(self):
        self.bad(1, "run", "-m", self.server.address, "--ids", "[1]", contains="takes text, not token ids")
        self.fails("--prefill-response", "x", contains="beginning of its reply")
        self.bad(1, "bench", "-m", self.server.address, contains="needs a model on this machine")
        self.bad(1, "logits", "-m", self.server.address, "--ids", "[1]", contains="needs a model on this machine")
        for command in ["show", "tokenize"]:
            self.bad(1, command, "-m", self.server.address, contains="this needs a model's files")


class Keys(RemoteCase):
    def keys(self):
        return {r.key for r in self.server.requests}

    def test_key(self):
        self.server.fault = lambda r: r.key != "Bearer sk-right" and r.answer(401, {"error": {"message": "Incorrect key %s" % r.key}})
        self.fails(contains=["asks for a key (HTTP 401)", "set LLM_CHAT_API_KEY"])
        errors = self.fails(env={"LLM_CHAT_API_KEY": "sk-wrongkey"}, contains="does not accept the key (HTTP 401)")
        self.assertNotIn("sk-wrongkey", errors)
        self.assertEqual(self.say(env={"LLM_CHAT_API_KEY": "sk-right"}), REPLY + "\n")
        self.fails(env={"LLM_CHAT_API_KEY": "two words"}, contains="LLM_CHAT_API_KEY holds a space")

    def test_the_key_of_the_file_goes_to_the_endpoint_of_the_file(self):
        other = self.serve()
        self.write("LLM_CHAT_API_URL=%s\nLLM_CHAT_API_KEY=sk-file\n" % other.address)
        self.say()
        self.assertEqual(self.keys(), {None})
        self.good("run", "-p", "Hi")
        self.good("run", "-m", other.root, "-p", "Hi")
        self.assertEqual({r.key for r in other.requests}, {"Bearer sk-file"})
        self.say(env={"LLM_CHAT_API_KEY": "sk-environment"})
        self.assertIn("Bearer sk-environment", self.keys())

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl")
    def test_https(self):
        """A certificate that nobody vouches for: nothing is sent, least of all the key."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2", "-keyout",
                        self.path("key.pem"), "-out", self.path("cert.pem")], stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("cert.pem"), self.path("key.pem"))
        self.server.server.socket = context.wrap_socket(self.server.server.socket, server_side=True)
        self.bad(1, "run", "-m", "https" + self.server.address[4:], "-p", "Hi", env={"LLM_CHAT_API_KEY": "sk-x"},
                 contains="its certificate is not trusted")
        self.assertEqual(self.server.requests, [])

    def test_redirects_are_not_followed(self):
        other = self.serve()
        self.server.fault = on_reply(lambda r: r.answer(307, headers={"Location": other.address + "/chat/completions"}))
        self.fails(env={"LLM_CHAT_API_KEY": "sk-x"}, contains=["redirects to " + other.address, "use that address"])
        self.assertEqual(other.requests, [])


class Refusals(RemoteCase):
    def test_statuses(self):
        for status, body, headers, contains in [
                (403, {}, {}, "does not allow this (HTTP 403)"),
                (429, {"error": {"message": "slow down"}}, {"Retry-After": "7"}, ["too many requests (HTTP 429): slow down", "wait 7 seconds"]),
                (500, b"Internal Server Error", {"Content-Type": "text/plain"}, ["problem of its own (HTTP 500): Internal", "its log"]),
                (502, b"<html>Bad gateway</html>", {"Content-Type": "text/html"}, "HTTP 502"),
                (503, {"error": {"message": "Loading model"}}, {"Retry-After": "20"}, ["HTTP 503", "Loading model", "wait 20 seconds"]),
                (400, {"error": "maximum context length is 4096 tokens"}, {}, "too long for its model"),
                (422, {"detail": [{"msg": "Field required"}]}, {}, "does not take the request (HTTP 422): Field required"),
                (418, {}, {}, "HTTP 418")]:
            self.server.fault = on_reply(lambda r: r.answer(status, body, headers))
            errors = self.fails(contains=contains)
            self.assertIn(self.server.address, errors)
            self.assertNotIn("<html>", errors)
            self.assertEqual(len(self.server.asked()), 1)  # who refuses is not asked again
            del self.server.requests[:]

    def test_refusals_of_the_list(self):
        for status in [401, 403, 429, 500, 503, 301]:
            self.server.fault = lambda r: r.path == "/v1/models" and r.answer(status, headers={"Location": "http://elsewhere/"})
            self.fails(contains="HTTP %d" % status)
            self.assertEqual(self.server.asked(), [])

    def test_no_such_model(self):
        self.server.models = ["Qwen/Qwen3-8B", "other"]
        self.bad(1, "run", "-m", self.server.address + "#Qwen/Qwen3-8b", "-p", "Hi",
                 contains=['has no model "Qwen/Qwen3-8b" (HTTP 404)', "these are there: Qwen/Qwen3-8B, other"])

    def test_wrong_addresses(self):
        self.bad(1, "run", "-m", self.server.root + "/v2", "-p", "Hi", contains=["HTTP 404", "usually ends in /v1"])
        self.server.fault = lambda r: r.answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"})
        self.fails(contains="not as OpenAI's API does")
        self.server.fault = on_reply(lambda r: r.answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}))
        self.fails(contains="answers with a page")

    def test_nobody_there(self):
        address = "http://127.0.0.1:%d/v1" % free_port()
        self.bad(1, "run", "-m", address, "-p", "Hi", contains=[address + " does not answer", "is the server running?"])
        self.bad(1, "chat", "-m", address, contains="does not answer")
        self.bad(1, "run", "-m", "https" + self.server.address[4:], "-p", "Hi", contains="does it speak https?")
        self.bad(1, "run", "-m", "http://no-such-host.invalid/v1", "-p", "Hi", contains="no-such-host.invalid")
        with socket.socket() as s:  # what speaks something else
            s.bind(("127.0.0.1", 0))
            s.listen()

            def talk():
                connection = s.accept()[0]
                connection.sendall(b"SSH-2.0-OpenSSH_9\r\n")
                connection.recv(1)
                connection.close()
            threading.Thread(target=talk, daemon=True).start()
            self.bad(1, "run", "-m", "http://127.0.0.1:%d/v1" % s.getsockname()[1], "-p", "Hi", contains="does not speak HTTP")


class Breaks(RemoteCase):
    def test_cut_streams(self):
        def at_once(r):
            return r.cut()

        def after_headers(r):
            r.begin()
            return r.cut()

        def in_the_midst(r):
            r.begin()
            r.event(piece("Hel"))
            r.send('data: {"choices": [{"del')
            return r.cut()

        def in_good_order(r):
            r.begin()
            r.event(piece("Hel"))
            return r.end()

        def short(r):
            return r.answer(200, b'{"choices": []}', length=100, send=10)
        for fault, output, says in [(at_once, b"", "broke off without a reply"), (after_headers, b"", "broke off without a reply"),
                                    (in_the_midst, b"Hel\n", "in the midst of the reply, after 3 bytes"),
                                    (in_good_order, b"Hel\n", "in the midst of the reply, after 3 bytes"),
                                    (short, b"", "broke off without a reply")]:
            self.server.fault = on_reply(fault)
            self.fails(contains=says, output=output)
            self.server.fault = on_reply(fault)  # and no half JSON
            self.fails("--json", contains=says)

    def test_lies(self):
        def garbage(r):
            r.begin()
            r.event(piece("Hel"))
            r.event('{"choices": oops')
            return r.end()

        def error_inside(r):
            r.begin()
            r.event(piece("Hel"))
            r.event({"error": {"message": "CUDA out of memory", "code": 500}})
            return r.end()

        def something_else(r):
            return r.answer(200, {"hello": "world"})

        def endless_line(r):
            r.begin()
            for _ in range(40):
                r.send(b"x" * (1 << 20))
            return r.end()
        for fault, output, says in [(garbage, b"Hel\n", "what is no reply of OpenAI's API"), (error_inside, b"Hel\n", "reports: CUDA out of memory"),
                                    (something_else, b"", "what is no reply of OpenAI's API"), (endless_line, b"", "an event of more than")]:
            self.server.fault = on_reply(fault)
            self.fails(contains=says, output=output)

    def test_silence(self):
        def silent(r):
            threading.Event().wait(PATIENCE)
            return r.cut()

        def falls_silent(r):
            r.begin()
            r.event(piece("Hel"))
            threading.Event().wait(PATIENCE)
            return r.cut()
        self.server.fault = on_reply(silent)
        self.fails("--request-timeout", "0.3", contains=["was silent for 0.3 seconds", "LLM_REQUEST_TIMEOUT"])
        self.server.fault = on_reply(falls_silent)
        self.fails("--request-timeout", "0.3", contains="in the midst of the reply", output=b"Hel\n")
        self.server.fault = lambda r: r.path == "/v1/models" and silent(r)
        self.fails(env={"LLM_REQUEST_TIMEOUT": "0.3"}, contains="was silent")
        with socket.socket() as s:  # nobody accepts, and the queue is full
            s.bind(("127.0.0.1", 0))
            s.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for w in waiting:
                w.setblocking(False)
                w.connect_ex(s.getsockname())
            self.bad(1, "run", "-m", "http://127.0.0.1:%d/v1" % s.getsockname()[1], "-p", "x", "--connection-timeout", "0.3",
                     "--request-timeout", "0.3", contains="LLM_")
            for w in waiting:
                w.close()

    def test_slow_but_alive(self):
        def drip(r):
            r.begin()
            for c in REPLY:
                r.event(piece(c))
                r.send(": still here\n\n")
                time.sleep(0.02)
            r.event(piece(None, "stop"))
            return r.end()
        self.server.fault = on_reply(drip)
        self.assertEqual(self.say("--request-timeout", "20"), REPLY + "\n")

    def test_interrupt(self):
        reached = threading.Event()

        def waits(r):
            r.begin()
            r.event(piece("Hel"))
            reached.set()
            threading.Event().wait(PATIENCE)
            return r.cut()
        self.server.fault = on_reply(waits)
        process = subprocess.Popen([COMMAND, "run", "-m", self.server.address, "-p", "Hi"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder, env=self.environment)
        self.assertTrue(reached.wait(PATIENCE))
        self.assertEqual(process.stdout.read(3), b"Hel")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 130)

    def test_interrupt_in_chat(self):
        turns = []

        def waits(r):
            turns.append(r.body["messages"])
            if len(turns) != 2:
                return False
            r.begin()
            r.event(piece("Half a rep"))
            threading.Event().wait(PATIENCE)
            return r.cut()
        self.server.fault = on_reply(waits)
        t = self.terminal("chat", "-m", self.server.address)
        t.wait_prompt(1)
        self.assertIn("org/model on " + self.server.address, t.screen.text())
        t.send("one\n")
        t.wait_for(REPLY)
        t.wait_prompt(2)
        t.send("two\n")
        t.wait_for("Half a rep")
        t.send("\x03")
        t.wait_for("(stopped)")
        t.wait_prompt(3)
        t.send("three\n")
        t.wait_for(REPLY, 2)
        t.wait_prompt(4)
        t.send("/quit\n")
        self.assertEqual(t.end(), 0)
        self.assertEqual([m["content"] for m in turns[2]], ["one", REPLY, "two", "Half a rep", "three"])


class Chat(RemoteCase):
    def chat(self, *lines, **kw):
        return self.run_command("chat", *(["-m", self.server.address] if "env" not in kw else []),
                                input="".join(line + "\n" for line in lines), **kw)

    def test_conversation(self):
        done = self.chat("one", "two", "/stats", "/model")
        self.assertEqual(done.returncode, 0, done.errors)
        self.assertTrue(done.stdout.decode().startswith("%s\n%s\nmodel         org/model on %s\n" % (REPLY, REPLY, self.server.address)))
        self.assertIn("endpoint      " + self.server.address, done.stdout.decode())
        self.assertNotIn("positions", done.stdout.decode())
        self.assertEqual([m["content"] for m in self.server.asked()[1]["messages"]], ["one", REPLY, "two"])

    def test_models_of_the_endpoint(self):
        self.server = self.serve(models=["org/model", "org/other", "odd\x1b[2Jname"])
        self.install("org/here")
        address = self.server.address
        done = self.run_command("chat", "-m", address + "#org/model", input="one\n/model\n/model #org/other\ntwo\n/model #org/none\nthree\n")
        text = done.stdout.decode()
        self.assertIn("Models that are there:\n  #org/model\n  #org/other\n", text)
        self.assertIn("Models that are here:\n  org/here\n", text)
        self.assertIn("The conversation goes on with org/other.", done.errors)
        self.assertEqual([b["model"] for b in self.server.asked()], ["org/model", "org/other", "org/none"])
        # The password of the address that is configured goes with it, though no one sees it.
        secret = address.replace("127.0.0.1", "me:geheim@127.0.0.1")
        done = self.run_command("chat", "-m", secret + "#org/model", input="/model\n/model #org/other\ntwo\n")
        self.assertEqual((done.returncode, "geheim" in done.stdout.decode() + done.errors), (0, False), done.errors)
        self.assertTrue(self.server.requests[-1].key.startswith("Basic "))
        # Here a # is no model.
        done = self.run_command("chat", "-m", "org/here", input="/model #org/other\n")
        self.assertEqual(done.returncode, 1)
        # It refuses, or tells nothing.
        for fault, says, status in [(lambda r: r.answer(500), "a problem of its own", 1), (lambda r: r.cut(), "it does not list them", 0)]:
            server = self.serve()
            server.fault = lambda r: len(server.requests) > 1 and fault(r)
            done = self.run_command("chat", "-m", server.address + "#org/model", input="/model\n")
            self.assertEqual(done.returncode, status)
            self.assertIn(says, done.stdout.decode() + done.errors)

    def test_completion_of_models_of_the_endpoint(self):
        self.server = self.serve(models=["org/model", "org/special"])
        t = self.terminal("chat", "-m", self.server.address + "#org/model")
        t.wait_prompt(1)
        t.send("/model #org/s\t")
        t.wait_for("/model #org/special")
        t.send("\n")
        t.wait_for("goes on with org/special")
        t.send("/quit\n")
        self.assertEqual(t.end(), 0)

    def test_a_reply_that_fails_leaves_the_conversation(self):
        count = []

        def second(r):
            count.append(1)
            if len(count) != 2:
                return False
            r.begin()
            r.event(piece("Half"))
            return r.cut()
        self.server.fault = on_reply(second)
        done = self.chat("one", "two", "three")
        self.assertEqual((done.returncode, done.stdout.decode()), (1, "%s\nHalf\n%s\n" % (REPLY, REPLY)))
        self.assertIn("in the midst of the reply", done.errors)
        self.assertEqual([m["content"] for m in self.server.asked()[2]["messages"]], ["one", REPLY, "three"])

    def test_from_here_to_there_and_back(self):
        self.install("org/here")
        done = self.run_command(
            "chat", "-m", self.server.address, "--max-tokens", "4", "--temp", "0",
            input="one\n/model org/here\ntwo\n/model %s#org/model\nthree\n/model org/none\nfour\n" % self.server.address)
        self.assertEqual(done.returncode, 1)
        self.assertIn('no model "org/none"', done.errors)
        self.assertIn("The conversation goes on with here.", done.errors)
        last = [m["content"] for m in self.server.asked()[-1]["messages"]]
        self.assertEqual((last[:3], last[4:]), (["one", REPLY, "two"], ["three", REPLY, "four"]))

    def test_cut_by_length(self):
        done = self.run_command("chat", "-m", self.server.address, "--max-tokens", "2", input="one\n")
        self.assertIn("cut after 2 tokens", done.errors)


class Fallback(RemoteCase):
    def setUp(self):
        super().setUp()
        self.write("LLM_CHAT_API_URL=mlx://org/none\n")

    def test_order(self):
        studio, ollama = self.serve(["text-embedding-x", "phi-3", "other"], ["studio"]), self.serve(["llama3"], ["ollama"])
        both = {"LM_STUDIO_API_URL": studio.address, "OLLAMA_API_URL": ollama.address}
        done = self.run_command("run", "-p", "Hi", env=both)
        self.assertEqual((done.returncode, done.stdout), (0, b"studio\n"), done.errors)
        self.assertIn('org/none cannot be used: no model "org/none"', done.errors)
        self.assertIn("LM Studio answers in its place: %s#phi-3" % studio.address, done.errors)
        self.assertEqual(ollama.requests, [])
        done = self.run_command("run", "-p", "Hi", env={"OLLAMA_API_URL": ollama.address})
        self.assertEqual((done.returncode, done.stdout), (0, b"ollama\n"), done.errors)
        self.assertIn("Ollama answers in its place: %s#llama3" % ollama.address, done.errors)
        done = self.run_command("chat", input="one\n", env={**both, "LM_STUDIO_API_URL": studio.address + "#other"})
        self.assertEqual((done.returncode, done.stdout), (0, b"studio\n"), done.errors)
        self.assertEqual([b["model"] for b in studio.asked()], ["phi-3", "other"])
        studio.models = ["text-embedding-x"]  # which cannot chat
        self.assertEqual(self.run_command("run", "-p", "Hi", env=both).stdout, b"ollama\n")

    def test_any_failure_of_the_model(self):
        directory = self.install("org/broken")
        os.truncate(os.path.join(directory, "model.safetensors"), 70000)
        self.write("MLX_MODEL_NAME=org/broken\n")
        done = self.run_command("run", "-p", "Hi", env={"LM_STUDIO_API_URL": self.server.address})
        self.assertEqual((done.returncode, done.stdout.decode()), (0, REPLY + "\n"))
        self.assertIn("model.safetensors", done.errors)

    def test_nobody_answers(self):
        self.bad(1, "run", "-p", "Hi", contains=['no model "org/none"', "whisperengine pull org/none", "neither LM Studio (", "can answer in its place"])

    def test_when_not(self):
        env = {"LM_STUDIO_API_URL": self.server.address}
        for args in [["-m", "org/none"], ["--fallback", "0"], ["--ids", "[1]"]]:
            args = args if "--ids" in args else [*args, "-p", "Hi"]
            errors = self.bad(1, "run", *args, env=env, contains='no model "org/none"')
            self.assertNotIn("in its place", errors)
        self.bad(1, "run", "-p", "Hi", env={**env, "WHISPERENGINE_FALLBACK": "off"}, contains="org/none")
        self.bad(1, "bench", env=env, contains="org/none")
        self.install("org/none")
        self.good("run", "-p", "Hi", "--max-tokens", "1", env=env)
        self.assertEqual(self.server.requests, [])

    def test_the_key_stays_with_its_endpoint(self):
        self.write("LLM_CHAT_API_URL=mlx://org/none\nLLM_CHAT_API_KEY=sk-file\n")
        self.run_command("run", "-p", "Hi", env={"LM_STUDIO_API_URL": self.server.address})
        self.assertEqual({r.key for r in self.server.requests}, {None})


class Use(RemoteCase):
    def use(self, *args, **kw):
        done = self.run_command("use", *args, **kw)
        self.assertEqual(done.returncode, 0, done.errors)
        return done.errors

    def test_endpoints_are_asked(self):
        self.server.models = ["Qwen/Qwen3-8B", "other"]
        self.bad(1, "use", self.server.address, contains=["has 2 models; which one?", "Qwen/Qwen3-8B, other"])
        self.bad(1, "use", self.server.address + "#Qwen/Qwen3-8b", contains='did you mean "Qwen/Qwen3-8B"?')
        self.assertFalse(os.path.exists(self.path(".env")))
        os.mkdir(self.path("models"))
        self.use(self.server.address + "#other")
        self.assertEqual(self.read(), "LLM_CHAT_API_URL=%s\nLLM_CHAT_MODEL=other\nLLM_REMOTE_API_URL='%s#other'\n" % ((self.server.address,) * 2))
        self.assertEqual(self.good("run", "-p", "Hi").decode(), REPLY + "\n")
        self.assertEqual(self.server.asked()[0]["model"], "other")

    def test_one_model_needs_no_name(self):
        os.mkdir(self.path("models"))
        self.use("ollama", env={"OLLAMA_API_URL": self.server.address})
        self.assertEqual(self.read(), "LLM_CHAT_API_URL=%s\n" % self.server.address)

    def test_endpoints_that_do_not_answer_may_do_so_later(self):
        os.mkdir(self.path("models"))
        errors = self.use("local")
        self.assertIn("does not answer", errors)
        self.assertIn("the model is now http://127", errors)
        self.bad(1, "use", "http://h h", contains="no address")

    def test_the_key_is_not_sent_to_a_new_server_unasked(self):
        self.write("LLM_CHAT_API_URL=http://old.invalid/v1\nLLM_CHAT_API_KEY=sk-old\n")
        self.assertIn("LLM_CHAT_API_KEY stays", self.use(self.server.address))
        self.assertEqual({r.key for r in self.server.requests}, {None})


if __name__ == "__main__":
    unittest.main()
