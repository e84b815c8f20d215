"""An HTTP server on the loopback whose answers a test can spoil: for hub_server.py and openai_server.py."""
import http.server
import socket
import threading


class Request:
    """A request and its answer. `handler` is the server's."""

    def __init__(self, handler):
        self.handler = handler

    def answer(self, status, body=b"", headers=(), length=None, send=None):
        """A whole answer. `length`: what Content-Length says; `send`: bytes after which the connection is cut."""
        h = self.handler
        h.send_response(status)
        h.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in dict(headers).items():
            h.send_header(key, value)
        h.end_headers()
        h.wfile.write(body if send is None else body[:send])
        return True if send is None else self.cut()

    def cut(self):
        self.handler.close_connection = True
        try:
            self.handler.wfile.flush()
            self.handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        return True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


def serve(respond):
    """A server in threads of its own, which calls respond(handler, body) for each request; `body` are its bytes. Stop it with `stop`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                respond(self, body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True
        do_GET = do_POST = handle_request

        def log_message(self, *args):
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def address(server):
    return "http://127.0.0.1:%d" % server.server_address[1]


def stop(server):
    server.shutdown()
    server.server_close()
