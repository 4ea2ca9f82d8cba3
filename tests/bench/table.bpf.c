/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The usual table, for poll + fold: a row is a process, and gives a series per process and its group's. */
#include "who.bpf.h"

struct bench {
	COUNTER(events, "Nothing: rows for the benchmark.");
};
TABLE(HASH, bench, struct who, struct bench, 100001);
