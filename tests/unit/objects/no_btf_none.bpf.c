/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Compiled without -g (tests/unit.mk): no types, so nothing says what is in it. */
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
