#!/usr/bin/env bash
# Catches: see tests/pods_soak.sh; this is its short version.
exec bash "$(dirname "$0")/../pods_soak.sh" 60 24
