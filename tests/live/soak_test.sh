#!/usr/bin/env bash
# Catches: see tests/soak.sh; this is its short version.
exec bash "$(dirname "$0")/../soak.sh" 0.8
