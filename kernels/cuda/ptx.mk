# The PTX of the kernels, included by the Makefile of the module. Debian's package clang-19 is all it takes; the committed files are what
# exactly this compiler makes of exactly these sources, so `make ptx && git diff --exit-code` is clean.
PTX_CLANG ?= clang-19
PTX_CLANG_VERSION := 19.1.7
# Blocks stay in the order of the source, in which the lanes of a warp that part meet again at the lowest address, as gpu/emu runs them;
# ptxas orders blocks anew in any case.
PTX_FLAGS := -x cuda --cuda-device-only -S -nocudainc -nocudalib -O3 -std=c++17 -ffp-contract=off \
	-mllvm -disable-block-placement -Wall -Wextra -Werror
PTX_FLAGS_sm70 := --cuda-gpu-arch=sm_70 --cuda-feature=+ptx70
PTX_FLAGS_sm80 := --cuda-gpu-arch=sm_80 --cuda-feature=+ptx70
PTX_SOURCES_sm70 := attention conv elementwise images layout matmul norm optim physics random
PTX_SOURCES_sm80 := attentiontensor convtensor matmultensor

.PHONY: ptx ptx-check ptx-table
ptx: ## rebuild kernels/cuda/ptx from the CUDA sources (clang-19)
	@version=$$($(PTX_CLANG) -dumpversion) && test "$$version" = "$(PTX_CLANG_VERSION)" || \
		{ echo "ptx: $(PTX_CLANG) is version $$version, the committed PTX is from $(PTX_CLANG_VERSION): install Debian's clang-19"; exit 1; }
	@$(foreach target,sm70 sm80,$(foreach source,$(PTX_SOURCES_$(target)), \
		sh kernels/cuda/ptx.sh $(PTX_CLANG) $(PTX_CLANG_VERSION) $(source) $(target) "$(PTX_FLAGS) $(PTX_FLAGS_$(target))" &&)) true

PTXAS ?= ptxas
ptx-check: ## assemble the PTX for every GPU generation, print registers and shared memory, fail on spills (needs NVIDIA's ptxas)
	@command -v $(PTXAS) >/dev/null || { echo "ptx-check: no $(PTXAS): unpack it from the package nvidia-cuda-toolkit or set PTXAS"; exit 1; }
	@sh kernels/cuda/ptxas.sh $(PTXAS)

ptx-table: ## what ptx-check finds, as a table of the families of kernels: PTXAS="A B ..." are the ptxas of several CUDA releases
	@(for ptxas in $(PTXAS); do $(MAKE) --no-print-directory -s ptx-check PTXAS=$$ptxas || exit 1; done) >kernels/cuda/ptx-check.tmp || \
		{ cat kernels/cuda/ptx-check.tmp; rm kernels/cuda/ptx-check.tmp; exit 1; }
	@awk -f kernels/cuda/ptxtable.awk kernels/cuda/ptx-check.tmp && rm kernels/cuda/ptx-check.tmp
