/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The same inside a key, where the places are right but the size is not. */
#include "metrics.bpf.h"

struct who {
	cgroup_id_t cgroup;
	pid_t pid;
	comm_t comm;
	__u32 _pad;
	__u64 _more;
};
struct k {
	struct who who;
	__u64 a;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct k, struct v, 8);
