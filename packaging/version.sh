#!/bin/sh
# The release, from the one place where it is written.
set -eu
sed -n 's/.*static let current = "\([^"]*\)".*/\1/p' "$(dirname "$0")/../Sources/Serve/Command/Version.swift"
