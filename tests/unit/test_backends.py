"""Networks where they run: processes that share a cache of compiled ones."""

import fcntl

import numpy as np
import openvino
import torch

from models import backends
from models.card import Architecture, Card
from models.checkpoint import save
from models.network import Network
from models.runtime import Runtime


def test_a_network_is_compiled_while_no_other_process_does(tmp_path, monkeypatch):
    torch.manual_seed(0)
    architecture = Architecture(("thing",), input_px=64)
    card = Card("tiny", architecture, "", {"thing": 0.5}, {}, "Apache-2.0", "none", {})
    save(Network(architecture).eval(), card, tmp_path)
    locked, compile_model = [], openvino.Core.compile_model

    def watched(core, *given):
        [lock] = tmp_path.glob("*.lock")
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                locked.append(lock)
        return compile_model(core, *given)

    monkeypatch.setattr(openvino.Core, "compile_model", watched)
    runtime = Runtime("tiny", folder=tmp_path, cache=tmp_path, backend="openvino", precision="f32")
    for _ in range(backends._OFTEN):
        runtime.dense(np.zeros((64, 96, 3), np.uint8))
    assert len(locked) == 2  # for any picture, and for those that come often
