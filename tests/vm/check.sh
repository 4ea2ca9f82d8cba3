#!/usr/bin/env bash
# Runs inside a VM: which collectors this kernel takes, and what it says when it can take none.
# shellcheck source=tests/tap.sh
. "$(dirname "$0")/../tap.sh"
"$BPF_EXPORTER" --check 2>/tmp/check.err | sed 's/^/check: /'
grep . /tmp/check.err | sed 's/^/# /'
ok "--check ran"
finish
