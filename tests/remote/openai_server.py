"""An endpoint of OpenAI's API on the loopback: its models, and replies that stream. Faults are injected by `fault`, a function of a
request that may answer it in another way (and then returns True)."""
import http.server
import json
import socket
import threading


class Request:
    def __init__(self, handler, body):
        self.handler, self.path = handler, handler.path
        self.key = handler.headers.get("Authorization")
        self.headers = dict(handler.headers)
        self.body = body

    def answer(self, status, body=b"", headers=(), length=None, send=None):
        """A whole answer. `length`: what Content-Length says; `send`: bytes after which the connection is cut."""
        h = self.handler
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        h.send_response(status)
        h.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in {"Content-Type": "application/json", **dict(headers)}.items():
            h.send_header(key, value)
        h.end_headers()
        h.wfile.write(body if send is None else body[:send])
        return True if send is None else self.cut()

    def begin(self, headers=()):
        """The beginning of a stream, in chunks."""
        h = self.handler
        h.send_response(200)
        for key, value in {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked", **dict(headers)}.items():
            h.send_header(key, value)
        h.end_headers()

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.handler.wfile.flush()

    def event(self, value, end="\n\n"):
        self.send("data: " + (value if isinstance(value, str) else json.dumps(value)) + end)

    def end(self):
        self.handler.wfile.write(b"0\r\n\r\n")
        return True

    def cut(self):
        self.handler.close_connection = True
        try:
            self.handler.wfile.flush()
            self.handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        return True


def piece(text=None, reason=None, **more):
    """A chunk of a reply to messages."""
    return {"id": "1", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": reason}], **more}


class Server:
    def __init__(self, models=("org/model",), words=("Hello", ",", " wörld", "!")):
        self.models, self.words = list(models), list(words)
        self.fault = lambda request: False
        self.requests = []
        self.lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                length = int(self.headers.get("Content-Length") or 0)
                data = self.rfile.read(length)
                request = Request(self, json.loads(data) if data else None)
                with server.lock:
                    server.requests.append(request)
                try:
                    server.fault(request) or server.respond(request)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
            do_GET = do_POST = handle_request

            def log_message(self, *args):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass
        self.server = Threads(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.root = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.address = self.root + "/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def asked(self):
        """The bodies of the requests for replies."""
        return [r.body for r in self.requests if r.body is not None]

    def respond(self, r):
        if r.path == "/v1/models":
            return r.answer(200, {"object": "list", "data": [{"id": m, "object": "model"} for m in self.models]})
        if r.path not in ("/v1/chat/completions", "/v1/completions") or r.body is None:
            return r.answer(404, {"detail": "Not Found"})
        if r.body.get("model", self.models[0]) not in self.models:
            return r.answer(404, {"error": {"message": "The model `%s` does not exist." % r.body["model"], "code": 404}})
        words = self.words[:r.body["max_tokens"]]
        reason = "stop" if len(words) == len(self.words) else "length"
        usage = {"prompt_tokens": 12, "completion_tokens": len(words), "prompt_tokens_details": {"cached_tokens": 4}}
        r.begin()
        if r.path == "/v1/completions":
            for word in words:
                r.event({"choices": [{"index": 0, "text": word, "finish_reason": None}]})
            r.event({"choices": [{"index": 0, "text": "", "finish_reason": reason}]})
        else:
            r.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
            for word in words:
                r.event(piece(word))
            r.event(piece(reason=reason))
        if (r.body.get("stream_options") or {}).get("include_usage"):
            r.event({"choices": [], "usage": usage})
        r.event("[DONE]")
        return r.end()
