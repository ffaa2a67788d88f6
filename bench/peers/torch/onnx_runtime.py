"""The forward pass in ONNX Runtime, with all graph optimisations."""

import logging
import pathlib
import tempfile

import onnxruntime
import torch

from network import Case, Network, difference


def forward(folder, threads):
    case = Case(folder)
    x, t = case["x"], case["t"]
    session = open_session(Network(folder).eval(), (x, t), threads)
    inputs = {"x": x.numpy(), "t": t.numpy()}

    def run():
        return session.run(None, inputs)[0]

    return run, difference(torch.from_numpy(run()), case["y"])


def open_session(net, inputs, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "network.onnx")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # what it lacks for other networks
        torch.onnx.export(net, inputs, path, input_names=["x", "t"], output_names=["y"], dynamo=True, verbose=False)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
