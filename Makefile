# make demo   the main job: a quantized base and two adapters, one prompt
# make test   all tests
.PHONY: demo test build lint check-imports check-kernels check-threads check-addresses \
	check-faults check-clients check-chat check-templates check-families check-family-fields \
	check-real-families check-files check-fuzz check-gguf check-export check-http check-page \
	check-scale check-manifests check-ray check-dashboard dist check-dist dependencies

# What is built and tried: CONFIGURATION=debug spares the second build, and is nearly as fast (Package.swift optimizes
# what computes in both).
CONFIGURATION = release
export CONFIGURATION

demo: build
	@scripts/demo.sh

build: dependencies
	swift build -c $(CONFIGURATION)

# A few at a time: what a test waits for should not wait for six hundred others.
test: dependencies
	swift build --build-tests
	@scripts/test.sh --experimental-maximum-parallelization-width 4

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
		swift test --skip-build --experimental-maximum-parallelization-width 2 --sanitize $(SANITIZER) \
		--scratch-path .build-$(SANITIZER) --filter 'ServeTests|EngineTests|AdapterLifeTests'

# A million mutations of every kind of file, under the address sanitizer (half an hour).
check-fuzz: dependencies
	swift build --build-tests --sanitize address --scratch-path .build-address
	DORA_FUZZ_ROUNDS=1000000 LSAN_OPTIONS="suppressions=$(CURDIR)/Tests/leak-sanitizer.supp" \
		swift test --skip-build --sanitize address --scratch-path .build-address --filter FuzzTests

# A server that is ill-treated while well-behaved clients work.
check-faults: build
	python3 Tests/Faults/faults.py 15

# Real GGUF files from PyPI beside llama.cpp and transformers; PYTHON has what Tests/GGUF/requirements.txt lists.
check-gguf: build
	$(PYTHON) Tests/GGUF/check.py

# Exports of every fixture beside transformers and PEFT; PYTHON has what Tests/Fixtures/make/requirements.txt lists.
# PROGRAMS=FOLDER takes programs that are built.
check-export: $(if $(PROGRAMS),,build)
	$(PYTHON) Tests/Export/check.py $(if $(PROGRAMS),--bin $(PROGRAMS))

# Real clients of HTTP, of the versions that are pinned, in a virtual environment of their own.
check-clients: build
	test -d .venv-clients || python3 -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --requirement Tests/Clients/requirements.txt
	.venv-clients/bin/python -m pytest -q Tests/Clients

# Twenty conversations with a real model, which comes from PyPI, beside transformers.
check-chat: build
	python3 Tests/Chat/conversations.py

# Damaged templates and conversations; MUTATIONS=1000 is a quick look.
check-templates: MUTATIONS = 100000
check-templates: build
	python3 Tests/Chat/mutations.py $(MUTATIONS)

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

# The server over HTTP, seen from outside.
check-http: build
	@Tests/HTTP/run.sh

# The server's page in a headless Chromium; needs no build. SCREENSHOTS=FOLDER keeps pictures of it.
check-page:
	@Tests/Page/run.sh $(if $(SCREENSHOTS),--screenshots $(SCREENSHOTS))

# Files of requests, killed and resumed; a conversation at a terminal.
check-files: build
	python3 Tests/Files/files.py 5000
	python3 Tests/Files/conversation.py

# Three replicas behind a real HAProxy (about five minutes); PARTS are those of Tests/Scale/check.py.
check-scale: build
	@scripts/install-dependencies.sh haproxy
	python3 Tests/Scale/check.py $(PARTS)

# deploy/kubernetes against Kubernetes' own schemas; CRD_SCHEMAS names a folder with those of custom resources.
check-manifests:
	test -d .venv-manifests || python3 -m venv .venv-manifests
	.venv-manifests/bin/pip install --quiet --requirement Tests/Scale/requirements.txt
	.venv-manifests/bin/python Tests/Scale/manifests.py

# Two replicas under Ray Serve, from PyPI.
check-ray: build
	test -d .venv-ray || python3 -m venv .venv-ray
	.venv-ray/bin/pip install --quiet 'ray[serve]==2.60.0' aiohttp
	.venv-ray/bin/python Tests/Scale/ray_app.py

# What users install, into dist/: a Debian package, a wheel, a tarball. PROGRAMS=FOLDER takes programs that are built.
dist:
	@packaging/dist.sh

# Each of them in a clean Debian root or a fresh virtual environment, the image's steps too (Debian, as root; installs what
# it needs).
check-dist: dist
	@scripts/install-dependencies.sh debootstrap lintian qemu-user-static systemd-container python3-venv
	packaging/check/run.sh

# The dashboard's queries, asked of a Prometheus that scrapes a server; PROGRAMS=FOLDER takes programs that are built.
check-dashboard: $(if $(PROGRAMS),,build)
	@scripts/install-dependencies.sh prometheus
	python3 packaging/check/dashboard.py $(or $(PROGRAMS),.build/$(CONFIGURATION)) models

# Debian's packages; elsewhere install OpenBLAS and SentencePiece with their headers, and pkg-config.
dependencies:
	@scripts/install-dependencies.sh
