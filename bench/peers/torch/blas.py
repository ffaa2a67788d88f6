"""Single precision matrix products in OpenBLAS: Debian's library (libopenblas0-pthread), and the newer one inside NumPy."""

import ctypes

import numpy as np

ROW_MAJOR, NO_TRANSPOSE = 101, 111


def openblas(size, threads):
    """Debian's OpenBLAS. Returns the function and what the library says of itself."""
    lib = ctypes.CDLL("libopenblas.so.0")
    lib.openblas_set_num_threads(threads)
    lib.openblas_get_config.restype = lib.openblas_get_corename.restype = ctypes.c_char_p
    a = np.random.default_rng(1).standard_normal((size, size), dtype=np.float32)
    c = np.empty_like(a)
    pointer = a.ctypes.data_as(ctypes.c_void_p)
    into = c.ctypes.data_as(ctypes.c_void_p)
    one, zero = ctypes.c_float(1), ctypes.c_float(0)

    def run():
        lib.cblas_sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, size, size, size, one, pointer, size, pointer, size, zero, into, size)

    run()
    assert np.allclose(c, a @ a, atol=1e-2), "OpenBLAS and NumPy disagree"
    return run, f"OpenBLAS {lib.openblas_get_config().decode().split()[1]} {lib.openblas_get_corename().decode()}"


def numpy(size):
    a = np.random.default_rng(1).standard_normal((size, size), dtype=np.float32)
    c = np.empty_like(a)
    config = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return lambda: np.matmul(a, a, out=c), f"NumPy {np.__version__} with {config['name']} {config['version']}"
