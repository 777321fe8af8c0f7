"""dora on Ray Serve: each replica has a dora-serve of its own, and Ray remembers which adapters it was asked for.

    serve run deploy.ray.dora_app:application model=/models/base.dora adapter_root=/adapters memory=8GiB

Keys and values are options of dora-serve, without "--" and with "_" for "-", besides min_replicas and max_replicas.
Needs ray[serve], aiohttp, and dora-serve on PATH (or DORA_SERVE).
"""
import ctypes
import json
import os
import signal
import subprocess
import tempfile
import time

import aiohttp
from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse

PASSED = ("content-type", "authorization", "x-request-id")


class Replica:
    def __init__(self, options):
        folder = tempfile.mkdtemp(prefix="dora-")
        self.socket = f"{folder}/http"
        self.process = subprocess.Popen(
            [os.environ.get("DORA_SERVE", "dora-serve"), "--http", f"unix:{self.socket}", "--listen", f"unix:{folder}/lines",
             *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())],
            # Ends with this process, however that ends.
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM))
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                raise RuntimeError(f"dora-serve ended with {self.process.returncode}")
            time.sleep(0.05)
        self.id = serve.get_replica_context().replica_id.unique_id

    def __del__(self):
        self.process.terminate()
        self.process.wait(90)

    def session(self):
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.socket), timeout=aiohttp.ClientTimeout(total=None))

    async def check_health(self):
        async with self.session() as session, session.get("http://localhost/health") as reply:
            reply.raise_for_status()

    # As many as fit its memory, for which DORA_SERVE_ADAPTERS stands on the machines of the cluster.
    @serve.multiplexed(max_num_models_per_replica=int(os.environ.get("DORA_SERVE_ADAPTERS", "64")))
    async def adapter(self, name):
        """Merged by dora when a request names it; Ray learns here that it is at home."""
        return name

    async def answer(self, method, path, headers, body):
        """Status and headers, then the body as it comes. Who stops listening cancels the request."""
        if name := serve.get_multiplexed_model_id():
            await self.adapter(name)
        async with self.session() as session, session.request(
                method, f"http://localhost{path}", headers=headers, data=body) as reply:
            yield reply.status, {"content-type": reply.content_type, "x-dora-replica": self.id,
                                 "x-dora-adapter": reply.headers.get("x-dora-adapter", "")}
            async for piece in reply.content.iter_any():
                yield piece


class Ingress:
    def __init__(self, replicas):
        self.replicas = replicas.options(stream=True)

    async def __call__(self, request: Request):
        body = await request.body()
        try:
            model = json.loads(body).get("model") or ""
        except (ValueError, AttributeError):
            model = ""  # dora says what is wrong
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        pieces = self.replicas.options(multiplexed_model_id=str(model).split("@")[0]).answer.remote(
            request.method, request.url.path, headers, body)
        status, headers = await anext(pieces)
        return StreamingResponse(pieces, status, headers)


def application(arguments: dict) -> serve.Application:
    options = dict(arguments)
    least, most = int(options.pop("min_replicas", 2)), int(options.pop("max_replicas", 8))
    replicas = serve.deployment(
        Replica, max_ongoing_requests=32, health_check_period_s=2, graceful_shutdown_timeout_s=90,
        autoscaling_config={"min_replicas": least, "max_replicas": most, "target_ongoing_requests": 12})
    return serve.deployment(Ingress, max_ongoing_requests=1000).bind(replicas.bind(options))
