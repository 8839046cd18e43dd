"""Answers of a server that says it is MLflow."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import changed_value, damaged_bytes
from tests.robustness.fuzz.readers.written_back import json_bytes


def mlflow(folder: Path) -> Reader:
    """Answers of a server that says it is MLflow."""
    import logging
    import os

    import mlflow.tracking  # noqa: F401  # asks uname for the processor, once

    from prunebench import tracking
    from prunebench.tracking import mlflow_export
    from tests.tracking import helpers as made_up

    mlflow_export.GRACE = 3.0  # a server that names a next page for ever is left after that
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    # files of this machine, which are the same for every answer
    tracking.read_runs = cache(tracking.read_runs)
    logging.disable()
    layout, _ = made_up.experiment(folder / "smoke", methods=())
    run = {
        "info": {
            "run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "FINISHED",
            "lifecycle_stage": "active", "start_time": 1, "end_time": 2, "run_name": "x",
            "artifact_uri": "mlflow-artifacts:/1/r/artifacts",
        },
        "data": {
            "tags": [{"key": "experiment", "value": "smoke"},
                     {"key": "prunebench.cell", "value": "experiment"}],
            "metrics": [{"key": "m", "value": 0.5, "timestamp": 1, "step": 0}], "params": [],
        },
    }  # fmt: skip
    answers: dict[str, Any] = {
        "get-by-name": {"experiment": {
            "experiment_id": "1", "name": "prunebench/smoke", "lifecycle_stage": "active",
            "artifact_location": "mlflow-artifacts:/1", "tags": [],
        }},
        "runs/search": {"runs": [run], "next_page_token": ""},
        "runs/create": {"run": run}, "runs/get": {"run": run},
        "runs/update": {"run_info": run["info"]},
        "artifacts%2Ffigures": {"files": [{"path": "y.png", "is_dir": False, "file_size": 3}]},
        "artifacts": {
            "files": [
                {"path": "figures", "is_dir": True},
                {"path": "x.csv", "is_dir": False, "file_size": 3},
            ]
        },
        "": {},
    }  # fmt: skip
    now: list[Any] = [answers, b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said, raw = now
            answer = raw
            if isinstance(said, dict):
                key = next(name for name in answers if name in self.path)
                answer = json.dumps(said.get(key, {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # who asked is gone
                super().handle()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"

    def read(given: tuple[Any, bytes]) -> None:
        now[:] = given
        tracking.export(layout, address)

    raw = damaged_bytes([json_bytes(answers["runs/search"]), b"<html>no</html>"])
    return st.tuples(changed_value([answers]), st.just(b"")) | st.tuples(st.none(), raw), read
