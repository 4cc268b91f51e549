"""Models for tests: a folder of plain bytes, and a small network that really runs."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
BIAS = np.array([0.5, -1.0, 2.0], dtype=np.float32)


def write_model(folder: Path) -> Path:
    """Write two files, and one in a subfolder."""
    (folder / "shards").mkdir(parents=True)
    (folder / "iris.onnx").write_bytes(b"onnx" * 1000)
    (folder / "iris.torch").write_bytes(b"torch" * 700)
    (folder / "shards" / "a.bin").write_bytes(b"a")
    return folder


def write_network(path: Path) -> Path:
    """Write `relu(x · WEIGHTS + BIAS)` as an ONNX file, in a format that older runtimes read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["y"]),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(BIAS, "bias")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(network)
    onnx.save(network, path)
    return path


def expected_output(x: np.ndarray) -> np.ndarray:
    """Return what the network must answer, calculated without it."""
    return np.maximum(x @ WEIGHTS + BIAS, 0)
