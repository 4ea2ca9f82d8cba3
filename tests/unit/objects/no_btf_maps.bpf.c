/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The same with a table: libbpf itself refuses this one. */
#include "metrics.bpf.h"

struct k {
	__u64 a;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct k, struct v, 8);
