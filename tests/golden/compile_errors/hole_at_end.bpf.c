/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: padding size of 'struct k' with 4 bytes to alignment boundary */
/* the same at the end of a key */
#include "metrics.bpf.h"

struct k {
	__u64 b;
	__u32 c;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct k, struct v, 8);
