# The CUDA build: gcc and our own cuda.h, no CUDA toolkit. cu links -lcuda, which only has to be found: the archive is empty, and
# the trampolines of gpu/cudrv define the symbols. The header's checksum makes Go rebuild cu when the header changes.
# make cuda CUDA_INCLUDE=DIR compiles against NVIDIA's cuda.h instead (11.x or 12.x; cu does not compile with 13's, ours serves its drivers).
CUDA_INCLUDE ?= $(CURDIR)/gpu/cudrv/include
CUDA_STUB := $(CURDIR)/bin/cuda/stub/libcuda.a
CUDA_HEADER := $(shell cksum < $(CUDA_INCLUDE)/cuda.h | cut -d' ' -f1)
CUDA_ENV := CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$(CUDA_INCLUDE) -DEMDIFF_CUDA_H_SUM=$(CUDA_HEADER)" CGO_LDFLAGS="-L$(dir $(CUDA_STUB))"

.PHONY: cuda test-cuda cuda-gcc gpu-check

cuda: $(CUDA_STUB) ## build every command with the CUDA driver into bin/cuda/ (needs gcc)
	$(CUDA_ENV) $(GO) build -tags cuda -o bin/cuda/ ./cmd/...

test-cuda: $(CUDA_STUB) ## vet and test the CUDA build, through cu on the emulator (needs gcc)
	$(CUDA_ENV) $(GO) vet -tags cuda ./gpu/... ./kernels/cuda/... ./cmd/...
	$(CUDA_ENV) $(GO) test -tags cuda ./gpu/... ./kernels/cuda/... ./cmd/...

GPU_CHECK_OUT ?= gpu-check.json
gpu-check: cuda ## check, time and tune the kernels on the NVIDIA card of this machine, into gpu-check.json (needs gcc)
	bin/cuda/emdiff-ptx gpu-check --out "$(GPU_CHECK_OUT)" $(GPU_CHECK_FLAGS)

$(CUDA_STUB): | cuda-gcc
	@mkdir -p $(dir $@)
	@printf '!<arch>\n' > $@

cuda-gcc:
	@command -v gcc >/dev/null || { echo "the CUDA build needs gcc: install it (Debian: apt install gcc libc6-dev), or use the build without CUDA: make build"; exit 1; }
