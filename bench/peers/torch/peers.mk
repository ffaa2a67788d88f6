# The comparison with other frameworks, included by the Makefile of the module; see README.md beside this file.
PEERS_VENV := bench/out/venv
PEERS_FLAGS ?=
PEERS_PYTHON := PYTHONPYCACHEPREFIX=bench/out/pycache $(PEERS_VENV)/bin/python bench/peers/torch/compare.py

.PHONY: bench-peers
bench-peers: $(PEERS_VENV)/made ## time PyTorch, ONNX Runtime, OpenBLAS and gonum beside our kernels (needs python3 and g++); PEERS="train gemm" selects
	$(GO) build -o bench/out/ours ./bench/peers/ours
	$(PEERS_PYTHON) $(PEERS) $(PEERS_FLAGS)
	$(PEERS_PYTHON) --markdown

$(PEERS_VENV)/made: bench/peers/torch/requirements.txt
	python3 -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/pip install -q -r $<
	touch $@
