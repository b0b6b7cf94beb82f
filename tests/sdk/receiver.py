"""The customer's side of callbacks: a server on the loopback that checks every signature with Plivo's SDK.

It answers with XML that the SDK builds, and keeps every request. It uses none of this project's code for signatures.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import plivo
from plivo import utils

# The longest wait, in seconds: generous, because a loaded machine is slow.
PATIENCE = 120
CODE = "482913"


class Callback:
    """One request of Plivo to its customer."""

    def __init__(self, method, url, body, headers):
        self.method, self.url, self.headers = method, url, headers
        self.path = urlsplit(url).path
        self.body = dict(parse_qsl(body, keep_blank_values=True))
        # The form of a POST, the query of a GET.
        self.params = self.body if method == "POST" else dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))

    def is_signed(self, token, **forged):
        """Whether each of the four signatures is valid, for this request or with forged parts."""
        url, body = forged.get("url", self.url), forged.get("body", self.body)
        v2 = [utils.validate_signature(url, self.headers["X-Plivo-Signature-V2-Nonce"], self.headers[name], token)
              for name in ("X-Plivo-Signature-V2", "X-Plivo-Signature-Ma-V2")]
        v3 = [utils.validate_v3_signature(self.method, url, self.headers["X-Plivo-Signature-V3-Nonce"], token,
                                          self.headers[name], dict(body))
              for name in ("X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3")]
        return v2 + v3


class Receiver:
    """Serves on a free port and keeps all callbacks, in order."""

    def __init__(self):
        self._callbacks, self._changed = [], threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                callback = Callback(self.command, receiver.url + self.path, body, self.headers)
                answer = receiver.answer(callback.path).encode()
                receiver.keep(callback)
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = handle_request

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path):
        """The XML for a path, from the SDK's builder; empty for paths that need none."""
        xml = plivo.plivoxml.ResponseElement()
        if path.startswith("/ask/"):
            digits = plivo.plivoxml.GetDigitsElement(
                action=self.url + path.replace("/ask/", "/speak/"), method="POST", num_digits=1, valid_digits="7")
            digits.add(plivo.plivoxml.SpeakElement("Press seven to hear your code."))
            xml.add(digits)
        elif path.startswith("/speak/"):
            speak = plivo.plivoxml.SpeakElement("Your code is ", voice="Polly.Joanna", language="en-US")
            xml.add(speak.add_say_as(CODE, interpret_as="spell-out"))
        elif path.startswith("/wait/"):
            # Two minutes at the speed of these tests: the call lasts until the API ends it.
            for _ in range(90):
                xml.add(plivo.plivoxml.WaitElement(length=30))
        else:
            return ""
        return xml.to_string()

    def keep(self, callback):
        with self._changed:
            self._callbacks.append(callback)
            self._changed.notify_all()

    def received(self, path):
        with self._changed:
            return [callback for callback in self._callbacks if callback.path == path]

    def wait_for(self, path, **wanted):
        """The first callback to a path with these parameters, as soon as it comes."""
        def found():
            return next((callback for callback in self._callbacks if callback.path == path
                         and wanted.items() <= callback.params.items()), None)

        with self._changed:
            callback = self._changed.wait_for(found, PATIENCE)
            if callback is None:
                received = [(callback.path, callback.params) for callback in self._callbacks]
                raise AssertionError("no callback to %s with %s; received: %s" % (path, wanted, received))
            return callback
