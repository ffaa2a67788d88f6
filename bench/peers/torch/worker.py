"""One peer, one case, one variant, in a process of its own; the protocol is that of bench/peers/ours.

    python worker.py CASE VARIANT FOLDER THREADS LEVEL      VARIANT: eager/nchw, ..., onnxruntime, openblas, numpy
"""

import json
import os
import re
import sys
import time


def resident_mb(field):
    with open("/proc/self/status") as status:
        return int(re.search(field + r":\s+(\d+) kB", status.read()).group(1)) / 1024


def prepare(case, variant, folder, threads, level):
    """Returns (run, error, version)."""
    if variant in ("openblas", "numpy"):
        import blas

        return getattr(blas, variant)(folder, threads)
    import torch

    import onnx_runtime
    import pytorch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    version = f"PyTorch {torch.__version__} {torch.backends.cpu.get_cpu_capability()}"
    if level == "avx2":
        torch._inductor.config.cpp.simdlen = 256
    warm = torch.nn.Conv2d(4, 4, 3)(torch.zeros(1, 4, 8, 8))  # libraries load before memory is looked at
    warm.sum().backward()
    prepare.before = resident_mb("VmRSS")
    if variant == "onnxruntime":
        run, error = onnx_runtime.forward(folder, threads)
        return run, error, f"ONNX Runtime {onnx_runtime.onnxruntime.__version__}"
    run, error = getattr(pytorch, case.partition("/")[0])(folder, variant)
    return run, error, version


def main():
    case, variant, folder, threads, level = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    prepare.before = resident_mb("VmRSS")
    run, error, version = prepare(case, variant, folder, int(threads), level)
    run()
    print(json.dumps({"ready": version, "error": error}), file=answers)
    for line in sys.stdin:
        n = int(line)
        start = time.perf_counter()
        for _ in range(n):
            run()
        ms = (time.perf_counter() - start) * 1e3 / n
        print(json.dumps({"ms": ms, "mb": resident_mb("VmHWM") - prepare.before}), file=answers)


main()
