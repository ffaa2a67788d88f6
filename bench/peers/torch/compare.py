"""Times our kernels against PyTorch, ONNX Runtime, OpenBLAS, NumPy and gonum on the same work; see README.md.

    make bench-peers                          everything
    make bench-peers PEERS="train gemm"       cases whose name starts so, as train/quick or forward
"""

import argparse
import contextlib
import fcntl
import os
import pathlib
import statistics
import subprocess
import sys
import time

import report
from process import Ended, Process

HERE = pathlib.Path(__file__).parent
OUT = HERE.parents[1] / "out"
NETWORKS = ["quick", "cifar10-denoise-small", "ddpm-cifar10"]
ESTEP = "cifar10-denoise-small"
VARIANTS = [f"{how}/{layout}" for how in ("eager", "compile") for layout in ("nchw", "channels_last")]
TOLERANCE = 1e-4  # of the largest value
TURN = 200  # milliseconds of one side before the other's turn, or one run
REST = 0.05  # seconds between two turns
BUDGET = 30_000  # milliseconds for the turns of a case, or three of each side


def cases(level):
    """[(case, variants of the peers)]: of a case the fastest variant counts, but every peer of a matrix product."""
    onnx = ["onnxruntime"] if level == "avx512" else []  # it cannot be held down
    yield from ((f"forward/{n}", VARIANTS + onnx) for n in NETWORKS)
    yield from ((f"train/{n}", VARIANTS) for n in NETWORKS)
    yield f"estep/{ESTEP}", VARIANTS
    yield "gemm/1024", ["torch", "openblas", "numpy", "gonum"]
    yield from ((f"memory/train/{n}", ["eager/nchw", "eager/channels_last"]) for n in NETWORKS)
    yield from ((f"threads/train/{n}", ["1 thread"]) for n in NETWORKS)


class Bench:
    def __init__(self, level, threads, repetitions, lock):
        self.level, self.threads, self.repetitions, self.lock = level, threads, repetitions, lock
        self.entries = []

    def ours(self, case, level=None, threads=None):
        return Process([OUT / "ours", "-case", case, "-level", level or self.level, "-threads", str(threads or self.threads)], os.environ)

    def peer(self, case, variant):
        if variant == "gonum":
            return self.ours(case, level="gonum")
        held = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
        environment = {**os.environ, **{k: str(self.threads) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
                       "TORCHINDUCTOR_CACHE_DIR": str(OUT / "inductor"), **(held if self.level == "avx2" else {})}
        return Process([sys.executable, HERE / "worker.py", case, variant, self.folder(case), str(self.threads), self.level], environment)

    def folder(self, case):
        return OUT / "peers" / self.level / case

    def export(self, case):
        """Our results, for the peers to compare theirs with."""
        command = [OUT / "ours", "-case", case, "-level", self.level, "-threads", str(self.threads), "-export", self.folder(case)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def timing(self):
        """Other measurements on the machine wait while this is held."""
        return holding(self.lock) if self.lock else contextlib.nullcontext()

    def run(self, case, variants):
        kind, _, of = case.partition("/")
        if kind == "memory":
            self.memory(of, variants)
        elif kind == "threads":
            self.scaling(of)
        elif kind == "gemm":
            self.export(case)
            for v in variants:
                self.against(case, [v], f"{case}/{v}")
        else:
            self.export(case)
            self.against(case, variants, case)

    def against(self, case, variants, name):
        """Times every variant of the peers for a moment, and the fastest against ours."""
        candidates, versions, errors = {}, {}, {}
        for v in variants:
            with self.peer(case, v) as peer:
                try:
                    ready = peer.ready()
                except Ended as ended:
                    if not v.startswith("compile"):
                        raise
                    print(f"  {name:34} {v:22} does not work: {ended}", flush=True)
                    continue
                errors[v], versions[v] = ready.get("error"), ready["ready"]
                if errors[v] is not None and not errors[v] < TOLERANCE:
                    raise SystemExit(f"{case}: {v} differs from ours by {errors[v]:.2g} of the largest value, more than {TOLERANCE:g}")
                with self.timing():
                    candidates[v] = probe(peer)
            print(f"  {name:34} {v:22} {candidates[v]:9.2f} ms", flush=True)
        best = min(candidates, key=candidates.get)
        with self.ours(case) as ours, self.peer(case, best) as peer:
            ours.ready()
            peer.ready()
            with self.timing():
                a, b = interleave(ours, peer, self.repetitions)
        self.entries.append(report.compared(name, self.level, a, b, peer=versions[best], variant=best, candidates=candidates,
                                            error=errors[best]))
        print(report.line(self.entries[-1]), flush=True)

    def memory(self, case, variants):
        """How much the resident set grows from a started process to the largest of a few training steps."""
        self.export(case)
        with self.ours(case) as ours:
            ours.ready()
            ours.run(3)
        megabytes = {}
        for v in variants:
            with self.peer(case, v) as peer:
                version = peer.ready()["ready"]
                peer.run(3)
                megabytes[v] = peer.megabytes
        best = min(megabytes, key=megabytes.get)
        self.entries.append(report.memory(f"memory/{case}", self.level, ours.megabytes, megabytes[best], peer=version, variant=best))
        print(report.line(self.entries[-1]), flush=True)

    def scaling(self, case):
        with self.ours(case) as two, self.ours(case, threads=1) as one:
            two.ready()
            one.ready()
            with self.timing():
                a, b = interleave(two, one, self.repetitions)
        self.entries.append(report.compared(f"threads/{case}", self.level, a, b, peer="ours", variant="1 thread"))
        print(report.line(self.entries[-1]), flush=True)


def turn(process):
    """How many runs take about TURN, and the time of one."""
    ms = process.run(1)
    return max(1, round(TURN / ms)), ms


def probe(process):
    """A first idea of the time of a run."""
    n, ms = turn(process)
    return statistics.median(process.run(n) for _ in range(3)) if n > 1 else min(ms, process.run(1))


def interleave(ours, peer, repetitions):
    """The times of a run, turn by turn."""
    (n, a), (m, b) = turn(ours), turn(peer)
    repetitions = min(repetitions, max(3, int(BUDGET / (n * a + m * b))))
    pairs = [(rested(ours, n), rested(peer, m)) for _ in range(repetitions)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def rested(process, n):
    """Runs after a rest, in which the threads of the other side stop spinning for more work."""
    time.sleep(REST)
    return process.run(n)


@contextlib.contextmanager
def holding(path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("prefixes", nargs="*", help="run the cases whose names start so; all when none is given")
    arguments.add_argument("--level", default="avx512", choices=["avx512", "avx2"], help="hold both sides to this level")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--repetitions", type=int, default=9, help="of each side, alternating; fewer of what is slow")
    arguments.add_argument("--variants", nargs="+", help="of the peers, in place of all")
    arguments.add_argument("--lock", help="lock this file while timing, so that others who do so wait")
    arguments.add_argument("--markdown", action="store_true", help="print the last results as a table and do nothing else")
    a = arguments.parse_args()
    path = OUT / "peers.json"
    if a.markdown:
        print(report.markdown(report.read(path)))
        return
    bench = Bench(a.level, a.threads, a.repetitions, a.lock)
    for case, variants in cases(a.level):
        variants = [v for v in variants if not a.variants or v in a.variants]
        if variants and (not a.prefixes or case.startswith(tuple(a.prefixes))):
            bench.run(case, variants)
            report.write(path, bench.entries)


main()
