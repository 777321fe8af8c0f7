# make demo   the main job: a quantized base and two adapters, one prompt
# make test   all tests
.PHONY: demo test build lint check-imports check-kernels dependencies

demo: build
	@scripts/demo.sh

build: dependencies
	swift build -c release

test: dependencies
	swift build --build-tests
	swift test --skip-build

lint:
	swift format lint --strict --recursive Package.swift Sources Tests

check-imports:
	@scripts/check-imports.sh

# Every instruction set against the portable kernels, natively or emulated, and the sanitizers.
check-kernels:
	@Tests/Kernels/run.sh

# Debian's packages; elsewhere install OpenBLAS and SentencePiece with their headers, and pkg-config.
dependencies:
	@scripts/install-dependencies.sh
