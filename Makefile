# make demo   the main job: a quantized base and two adapters, one prompt
# make test   all tests
.PHONY: demo test build lint check-imports check-kernels check-threads check-addresses \
	check-faults check-families check-family-fields check-real-families dependencies

demo: build
	@scripts/demo.sh

build: dependencies
	swift build -c release

test: dependencies
	swift build --build-tests
	swift test --skip-build

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks

check-imports:
	@scripts/check-imports.sh

# Every instruction set against the portable kernels, natively or emulated, and the sanitizers.
check-kernels:
	@Tests/Kernels/run.sh

# The engine and the server under a sanitizer (a build of its own, about six minutes).
check-threads: SANITIZER = thread
check-addresses: SANITIZER = address
check-threads check-addresses: dependencies
	swift build --build-tests --sanitize $(SANITIZER) --scratch-path .build-$(SANITIZER)
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/thread-sanitizer.supp" \
	LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/leak-sanitizer.supp" \
		swift test --skip-build --sanitize $(SANITIZER) --scratch-path .build-$(SANITIZER) \
		--filter 'ServeTests|EngineTests|AdapterLifeTests'

# A server that is ill-treated while well-behaved clients work.
check-faults: build
	python3 Tests/Faults/faults.py 15

# Random tiny models of every dense family beside transformers and PEFT: CASES of each, FAMILIES by a regular expression.
# Python with what Tests/Fixtures/make/requirements.txt lists, named by PYTHON; half an hour.
PYTHON ?= python3
CASES ?= 100
FAMILIES ?= .
check-families: build
	$(PYTHON) Tests/Families/fuzz.py --cases $(CASES) --families '$(FAMILIES)'

# One field of a configuration wrong at a time: refused, or what transformers makes of it.
check-family-fields: build
	$(PYTHON) Tests/Families/fields.py --families '$(FAMILIES)'

# SmolLM2 and Gemma 3 from PyPI, converted, beside transformers; needs gguf, too.
check-real-families: build
	$(PYTHON) Tests/Families/real.py

# Debian's packages; elsewhere install OpenBLAS and SentencePiece with their headers, and pkg-config.
dependencies:
	@scripts/install-dependencies.sh
