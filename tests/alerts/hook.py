"""A receiver of webhooks for the tests: believes what is signed, and nothing else.

hook.py FILE SECRET

Prints its port. The first message it refuses with 503, as a server that is just
being restarted. Each one it believes is one line of JSON.
"""

import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

FILE, SECRET = sys.argv[1], sys.argv[2].encode()
refused = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        second = self.headers["x-schoolgate-timestamp"]
        wanted = hmac.new(SECRET, second.encode() + b"." + body, hashlib.sha256).hexdigest()
        signed = hmac.compare_digest(self.headers["x-schoolgate-signature"], "sha256=" + wanted)
        if not signed or abs(time.time() - int(second)) > 60:
            self.answer(401)
        elif not refused:
            refused.append(self.headers["idempotency-key"])
            self.answer(503)
        else:
            told = json.loads(body)
            told["key"] = self.headers["idempotency-key"]
            told["refused"] = refused[0]
            with open(FILE, "a") as out:
                out.write(json.dumps(told) + "\n")
            self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
