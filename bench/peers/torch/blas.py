"""The square of a matrix in OpenBLAS: Debian's library (libopenblas0-pthread), and the newer one inside NumPy. Every function
returns (run, error, version)."""

import ctypes
import pathlib

import numpy as np
from safetensors.numpy import load_file

ROW_MAJOR, NO_TRANSPOSE = 101, 111


def load(folder):
    """The matrix, and its square by us."""
    tensors = load_file(pathlib.Path(folder, "case.safetensors"))
    return tensors["a"], tensors["c"]


def difference(got, want):
    return float(abs(got - want).max() / abs(want).max())


def openblas(folder, threads):
    lib = ctypes.CDLL("libopenblas.so.0")
    lib.openblas_set_num_threads(threads)
    lib.openblas_get_config.restype = lib.openblas_get_corename.restype = ctypes.c_char_p
    a, want = load(folder)
    n = len(a)
    c = np.empty_like(a)
    pointer, into = (m.ctypes.data_as(ctypes.c_void_p) for m in (a, c))
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def run():
        lib.cblas_sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, n, n, n, one, pointer, n, pointer, n, zero, into, n)

    run()
    return run, difference(c, want), f"OpenBLAS {lib.openblas_get_config().decode().split()[1]} {lib.openblas_get_corename().decode()}"


def numpy(folder, _):
    a, want = load(folder)
    c = np.empty_like(a)
    config = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return lambda: np.matmul(a, a, out=c), difference(a @ a, want), f"NumPy {np.__version__} with {config['name']} {config['version']}"
