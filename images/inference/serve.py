"""Liveness on GET /, scoring on POST /score, as an online endpoint's container has them."""
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL_FILE = os.path.join(os.environ.get("AZUREML_MODEL_DIR", "."), "model.json")


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, {"status": "alive"})

    def do_POST(self):
        if self.path != "/score":
            self.answer(404, {"error": "POST /score"})
            return
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(MODEL_FILE) as file:
            model = json.load(file)
        self.answer(200, [model["slope"] * x + model["intercept"] for x in request["x"]])


ThreadingHTTPServer(("", 5001), Handler).serve_forever()
