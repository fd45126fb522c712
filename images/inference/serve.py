"""A scoring server with no dependency but Python: the routes, variables and status codes of
azureml-inference-server-http (github.com/microsoft/azureml-inference-server, server/routes.py and
user_script.py), for scoring scripts whose run() takes the request's body as a string.

  GET /        200 "Healthy": init() has returned
  POST /score  200 what run() returned, as JSON; 500 {"message": ...} when it raised

The script is AZUREML_ENTRY_SCRIPT in AML_APP_ROOT, the port SERVER_PORT (5001).
"""
import importlib.util
import json
import os
import signal
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILED = {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}


def load_script():
    path = os.path.join(os.environ.get("AML_APP_ROOT", "/var/azureml-app"),
                        os.environ["AZUREML_ENTRY_SCRIPT"])
    spec = importlib.util.spec_from_file_location("entry_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body, content_type="application/json", **headers):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/":
            self.answer(200, "Healthy", "text/html; charset=utf-8")
        else:
            self.answer(404, json.dumps({"message": "GET / or POST /score"}))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/score":
            self.answer(404, json.dumps({"message": "POST /score"}))
            return
        try:
            result = json.dumps(self.server.script.run(body.decode()))
        except Exception:
            traceback.print_exc()
            self.answer(500, json.dumps(FAILED), x_ms_run_function_failed="True")
            return
        self.answer(200, result)


class Server(ThreadingHTTPServer):
    daemon_threads = False      # server_close() waits for the requests that are being answered
    request_queue_size = 128


def main():
    script = load_script()
    script.init()
    server = Server(("", int(os.environ.get("SERVER_PORT", "5001"))), Handler)
    server.script = script
    # shutdown() waits for the loop that the handler has interrupted.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("ready", flush=True)
    server.serve_forever()
    server.server_close()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
