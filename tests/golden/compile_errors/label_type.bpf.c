/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* error: unknown type name 'cgroup_t' */
/* a misspelt label type */
#include "metrics.bpf.h"

struct k {
	cgroup_t cgroup;
};
