"""One contract for the engines: a running server refuses models that are none in one line, and what runs goes on."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the extra run", exc_type=ImportError)
pytest.importorskip("av", reason="needs the extra run")
pytest.importorskip("zmq", reason="needs the extra run")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from support.bad_models import write_bad_graphs, write_bad_onnx
from support.failing_models import alone, write_graph
from support.onnx_models import write_channels_first
from support.waiting import comes_true

from mainstream import DeployError
from mainstream.streamer import LocalRunner, Server, StreamerClient

CAMERA = "test://?fps=10&width=64&height=48"
ENGINES: dict[str, tuple[str, Callable[[Path], object], Callable[[Path], dict[str, str]]]] = {
    "onnx": ("good.onnx", write_channels_first, write_bad_onnx),
    "tensorflow": ("good.pb", lambda path: write_graph(path, lambda tf, mean: mean), write_bad_graphs),
}


@pytest.mark.parametrize("name", ENGINES)
def test_a_server_refuses_the_plan_in_one_line_and_goes_on_with_the_one_before(tmp_path: Path, name: str) -> None:
    good, write, write_bad = ENGINES[name]
    write(tmp_path / good)
    bad = write_bad(tmp_path)
    with (
        LocalRunner(CAMERA, tmp_path, window_s=0.2, engine=name) as local,
        Server(local, "tcp://127.0.0.1:*") as server,
        StreamerClient(server.address, timeout_s=120) as client,
    ):
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            client.deploy(alone((1, good)))
            for file, reason in bad.items():
                plan = alone((1, good), (2, file))
                # Of the server the spare process, in which plans are tried, and of the runner the loading itself.
                for deploy in (client.deploy, local.deploy):
                    with pytest.raises(DeployError, match=re.escape(reason)) as caught:
                        deploy(plan)
                    said = str(caught.value)
                    assert "\n" not in said and "net 1: model_path: " in said and file in said
                assert [one.app_id for one in local.rates()] == [1]
            analysed = local.rates()[0].analysed
            comes_true(lambda: local.rates()[0].analysed > analysed)
            assert set(client.deploy(alone((1, good), (3, good)))) == {1, 3}
        finally:
            local.close()
            thread.join()
