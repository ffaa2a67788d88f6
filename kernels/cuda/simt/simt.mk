# The second opinion on the CUDA kernels, included by the Makefile of the module. Any C++17 compiler that knows GNU's options will do:
# make simt-check CXX=clang++-19.
CXX ?= g++

.PHONY: simt-check
simt-check: ## compile the CUDA sources as C++ for the host and hold every kernel to the emulator, bit for bit (needs g++ or CXX)
	@command -v $(CXX) >/dev/null || { echo "simt-check: no $(CXX): install a C++17 compiler (Debian: apt install g++) or set CXX"; exit 1; }
	$(GO) vet -tags simt ./kernels/cuda
	CXX=$(CXX) $(GO) test -count=1 -timeout 30m -tags simt -run TheHostBuild -v ./kernels/cuda
