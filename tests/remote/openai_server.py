"""An endpoint of OpenAI's API on the loopback: its models, and replies that stream. Faults are injected by `fault`, a function of a
request that may answer it in another way (and then returns True)."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import loopback  # noqa: E402


class Request(loopback.Request):
    def __init__(self, handler, body):
        super().__init__(handler)
        self.path = handler.path
        self.key = handler.headers.get("Authorization")
        self.headers = dict(handler.headers)
        self.body = body

    def answer(self, status, body=b"", headers=(), length=None, send=None):
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        return super().answer(status, body, {"Content-Type": "application/json", **dict(headers)}, length, send)

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


def piece(text=None, reason=None, **more):
    """A chunk of a reply to messages."""
    return {"id": "1", "object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": reason}], **more}


class Server:
    def __init__(self, models=("org/model",), words=("Hello", ",", " wörld", "!")):
        self.models, self.words, self.owner = list(models), list(words), "somebody"
        self.fault = lambda request: False
        self.requests = []
        self.lock = threading.Lock()
        self.server = loopback.serve(self.hear)
        self.root = loopback.address(self.server)
        self.address = self.root + "/v1"

    def hear(self, handler, data):
        request = Request(handler, json.loads(data) if data else None)
        with self.lock:
            self.requests.append(request)
        self.fault(request) or self.respond(request)

    def close(self):
        loopback.stop(self.server)

    def asked(self):
        """The bodies of the requests for replies."""
        return [r.body for r in self.requests if r.body is not None]

    def respond(self, r):
        if r.path == "/v1/models":
            return r.answer(200, {"object": "list", "data": [{"id": m, "object": "model", "owned_by": self.owner} for m in self.models]})
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
