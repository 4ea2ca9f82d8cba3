/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: padding struct 'struct k' with 4 bytes to align 'c' */
/* a hole in a key: its bytes are not set, one row becomes many */
#include "metrics.bpf.h"

struct k {
	__u32 b;
	__u64 c;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct k, struct v, 8);
