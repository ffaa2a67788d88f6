"""Golden values of SSIM and PSNR from scikit-image, for the tests of emdiff/metric.

    python3 -m venv venv && venv/bin/pip install scikit-image==0.26.0
    venv/bin/python bench/peers/golden/ssim.py > emdiff/metric/testdata/skimage.json

Images are stored as base64 of their bytes v, row by row with channels last; the value of a byte is
float32(v / 127.5 - 1). SSIM is taken of value + 1, in [0, 2]: see the doc comment of metric.SSIM.
"""

import base64
import json
import sys

import numpy as np
import skimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def scene(rng, h, w, c):
    """A smooth pattern with an edge: something for means, variances and covariances to see."""
    y, x = np.mgrid[0:h, 0:w]
    planes = []
    for _ in range(c):
        fx, fy, phase = rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.6), rng.uniform(0, 6)
        planes.append(120 + 70 * np.sin(fx * x + fy * y + phase) + 50 * (x + y > (h + w) / 2))
    return np.stack(planes, axis=-1)


def to_bytes(a):
    return np.clip(np.rint(a), 0, 255).astype(np.uint8)


def values(b):
    return (b.astype(np.float64) / 127.5 - 1).astype(np.float32).astype(np.float64)


def main():
    rng = np.random.default_rng(20040401)
    cases = []
    for name, h, w, c, change in [
        ("one window", 11, 11, 1, "noise"),
        ("grey", 28, 28, 1, "noise"),
        ("colour", 32, 32, 3, "noise"),
        ("not square", 17, 29, 3, "noise"),
        ("shifted", 20, 24, 1, "shift"),
        ("inverted", 24, 20, 3, "invert"),
        ("flat against scene", 16, 16, 1, "flat"),
        ("equal", 13, 15, 3, "none"),
    ]:
        ref = scene(rng, h, w, c)
        x = {
            "noise": ref + rng.normal(0, 25.5, ref.shape),
            "shift": ref + 30,
            "invert": 255 - ref,
            "flat": np.full_like(ref, 128),
            "none": ref,
        }[change]
        xb, rb = to_bytes(x), to_bytes(ref)
        xv, rv = values(xb), values(rb)
        case = {
            "name": name, "h": h, "w": w, "c": c,
            "x": base64.b64encode(xb.tobytes()).decode(),
            "ref": base64.b64encode(rb.tobytes()).decode(),
            "ssim": structural_similarity(
                xv + 1, rv + 1, data_range=2.0, channel_axis=-1,
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            ),
        }
        if change != "none":  # an infinite PSNR has no JSON
            case["psnr"] = peak_signal_noise_ratio(rv, xv, data_range=2.0)
        cases.append(case)
    json.dump({"made_by": "scikit-image " + skimage.__version__, "cases": cases}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
