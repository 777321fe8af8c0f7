# make demo   the main job: a quantized base and two adapters, one prompt
# make test   all tests
.PHONY: demo test build lint check-imports check-kernels check-threads check-addresses \
	check-faults check-fuzz check-gguf dependencies

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

# A million mutations of every kind of file, under the address sanitizer (half an hour).
check-fuzz: dependencies
	swift build --build-tests --sanitize address --scratch-path .build-address
	DORA_FUZZ_ROUNDS=1000000 LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/leak-sanitizer.supp" \
		swift test --skip-build --sanitize address --scratch-path .build-address --filter FuzzTests

# A server that is ill-treated while well-behaved clients work.
check-faults: build
	python3 Tests/Faults/faults.py 15

# A real GGUF file against llama.cpp and transformers (Python packages: Tests/GGUF/requirements.txt).
check-gguf: build
	python3 Tests/GGUF/check.py

# Debian's packages; elsewhere install OpenBLAS and SentencePiece with their headers, and pkg-config.
dependencies:
	@scripts/install-dependencies.sh
