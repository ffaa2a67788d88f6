# The CUDA build: gcc and our own cuda.h, no CUDA toolkit. cu links -lcuda, which only has to be found: the archive is empty, and
# the trampolines of gpu/cudrv define the symbols. The header's checksum makes Go rebuild cu when the header changes.
# make cuda CUDA_INCLUDE=DIR compiles against NVIDIA's cuda.h instead, make cuda-headers CUDA_INCLUDES="DIR ..." tries several.
CUDA_INCLUDE ?= $(CURDIR)/gpu/cudrv/include
CUDA_STUB := $(CURDIR)/bin/cuda/stub/libcuda.a
CUDA_COMPAT := $(CURDIR)/gpu/cudrv/compat
CUDA_HEADER := $(shell cat $(CUDA_COMPAT)/cuda.h $(CUDA_INCLUDE)/cuda.h | cksum | cut -d' ' -f1)
CUDA_ENV := CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$(CUDA_COMPAT) -I$(CUDA_INCLUDE) -DEMDIFF_CUDA_H_SUM=$(CUDA_HEADER)" CGO_LDFLAGS="-L$(dir $(CUDA_STUB))"

.PHONY: cuda cuda-headers test-cuda cuda-gcc gpu-check

cuda: $(CUDA_STUB) ## build every command with the CUDA driver into bin/cuda/ (needs gcc)
	$(CUDA_ENV) $(GO) build -tags cuda -o bin/cuda/ ./cmd/...

test-cuda: $(CUDA_STUB) ## vet and test the CUDA build, through cu on the emulator (needs gcc)
	$(CUDA_ENV) $(GO) vet -tags cuda ./gpu/... ./kernels/cuda/... ./cmd/...
	$(CUDA_ENV) $(GO) test -tags cuda ./gpu/... ./kernels/cuda/... ./cmd/...

cuda-headers: $(CUDA_STUB) ## compile the CUDA driver against the cuda.h of every folder in CUDA_INCLUDES (needs gcc)
	@test -n "$(CUDA_INCLUDES)" || { echo 'cuda-headers: name the folders with a cuda.h: make cuda-headers CUDA_INCLUDES="DIR ..."'; exit 1; }
	@for dir in $(CUDA_INCLUDES); do \
		test -f "$$dir/cuda.h" || { echo "cuda-headers: there is no $$dir/cuda.h"; exit 1; }; \
		version=$$(sed -n 's/^#define CUDA_VERSION //p' "$$dir/cuda.h"); \
		$(MAKE) --no-print-directory -s cuda-header CUDA_INCLUDE="$$dir" || { echo "CUDA $$version: does not compile"; exit 1; }; \
		echo "CUDA $$version: compiles and links"; \
	done

.PHONY: cuda-header
cuda-header: $(CUDA_STUB)
	$(CUDA_ENV) $(GO) build -tags cuda -o /dev/null ./cmd/emdiff-ptx

GPU_CHECK_OUT ?= gpu-check.json
gpu-check: cuda ## check, time and tune the kernels on the NVIDIA card of this machine, into gpu-check.json (needs gcc)
	bin/cuda/emdiff-ptx gpu-check --out "$(GPU_CHECK_OUT)" $(GPU_CHECK_FLAGS)

$(CUDA_STUB): | cuda-gcc
	@mkdir -p $(dir $@)
	@printf '!<arch>\n' > $@

cuda-gcc:
	@command -v gcc >/dev/null || { echo "the CUDA build needs gcc: install it (Debian: apt install gcc libc6-dev), or use the build without CUDA: make build"; exit 1; }
