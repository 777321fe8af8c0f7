"""Two requests at once, each for an adapter of its own:  python3 examples/client.py [HOST:PORT]"""
import json, socket, sys

host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7077").rsplit(":", 1)
lines = socket.create_connection((host, int(port))).makefile("rw")
prompt = "Instruction: What is the sentiment of this news?\nInput: Tarnholt Foods raises its full-year profit guidance\nAnswer: "
for adapter in [None, "sentiment"]:  # None is the base
    print(json.dumps({"id": str(adapter), "prompt": prompt, "adapter": adapter, "max_tokens": 12}), file=lines, flush=True)
for reply in (json.loads(lines.readline()) for _ in range(2)):
    print(reply["id"], "->", reply.get("text", reply.get("error")))
