#!/usr/bin/env bash
# Cuts tests/contract/*.btf from the kernels of the VM matrix, fetching them when need be.
set -eu
cd "$(dirname "$0")/../.."
cells="amd64-5.10 amd64-6.1 amd64-6.12 amd64-newest arm64-6.12"
# shellcheck disable=SC2086 # a list
bash tests/vm/fetch.sh $cells
for cell in $cells; do
	kernel=${XDG_CACHE_HOME:-$HOME/.cache}/bpf_exporter/vm/kernel/$cell
	python3 tests/contract/contract.py cut "$1" "$kernel/vmlinuz" "tests/contract/$cell.btf"
done
