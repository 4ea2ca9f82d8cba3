#!/usr/bin/env bash
# `make run` on a new Debian machine (bookworm): tests/fresh.sh says what it catches.
exec bash "$(dirname "$0")/../fresh.sh" bookworm run
