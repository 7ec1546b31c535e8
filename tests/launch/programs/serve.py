"""Serves a model: POST text, get the tokens that it generates."""

import http.server
import json
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer
from whereabouts import report

FOLDER, PORT = sys.argv[1], int(sys.argv[2])


def load():
    import torch
    from transformers import AutoConfig

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(FOLDER, trust_remote_code=True)
    return AutoModelForCausalLM.from_config(config, trust_remote_code=True).eval()


MODEL = load()
TOKENIZER = AutoTokenizer.from_pretrained(FOLDER, trust_remote_code=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        tokens = MODEL.generate(**TOKENIZER(text, return_tensors="pt"), max_new_tokens=5, do_sample=False)
        body = json.dumps({"tokens": tokens.tolist(), **report()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
