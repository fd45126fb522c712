"""A model's server for the tests: server.py PORT NOTES.

GET /score answers with the model, the first file below AZUREML_MODEL_DIR; /live and /ready with 200
while the directory NOTES has no file "sick", "unready" or (both) "mute", in which case nothing is
answered at all.  Each start adds a line to NOTES/starts.  SIGTERM ends it with 0.
"""
import http.server
import os
import signal
import sys
import time

port, notes = int(sys.argv[1]), sys.argv[2]


def model():
    for place, _, files in os.walk(os.environ.get("AZUREML_MODEL_DIR", "/nonexistent")):
        for name in files:
            with open(os.path.join(place, name), "rb") as file:
                return file.read()
    return b"no model\n"


def noted(word):
    return os.path.exists(os.path.join(notes, word))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while noted("mute"):
            time.sleep(0.1)
        bad = (self.path == "/live" and noted("sick")) or (self.path == "/ready" and noted("unready"))
        body = model() if self.path == "/score" else b"as asked\n"
        self.send_response(503 if bad else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def end(*_):
    os._exit(0)


signal.signal(signal.SIGTERM, end)
with open(os.path.join(notes, "starts"), "a") as file:
    file.write("start\n")
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
