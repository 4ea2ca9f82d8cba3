/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* A struct who that is not ours: the fold takes the pid and the cgroup from fixed places. */
#include "metrics.bpf.h"

struct who {
	pid_t pid;
	comm_t comm;
};
struct v {
	COUNTER(x, "X.");
};
TABLE(HASH, t, struct who, struct v, 8);
