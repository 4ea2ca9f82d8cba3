/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: incompatible pointer types initializing 'const typeof */
/* the key of another table: rows with labels from whatever lies there */
#include "metrics.bpf.h"

struct k {
	__u64 b;
};
struct other {
	__u64 c;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct k, struct v, 8);

SEC("tp_btf/cgroup_mkdir")
int f(void *ctx)
{
	struct other key = {};
	struct v *row = ROW(t, &key);

	if (row)
		ADD(row->x, 1);
	return 0;
}
