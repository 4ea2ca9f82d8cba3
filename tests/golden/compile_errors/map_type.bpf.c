/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: use of undeclared identifier 'BPF_MAP_TYPE_HSAH' */
/* a misspelt map type */
#include "metrics.bpf.h"

struct k {
	__u64 b;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HSAH, t, struct k, struct v, 8);
