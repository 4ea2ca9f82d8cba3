/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/cgroups.bpf.c: tells the exporter that the cgroup tree changed, so that it walks it only then. */
#include "metrics.bpf.h"

__u64 cgroup_changes = 0;

SEC("tp_btf/cgroup_mkdir")
int cgroup_made(void *ctx)
{
	ADD(cgroup_changes, 1);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int cgroup_removed(void *ctx)
{
	ADD(cgroup_changes, 1);
	return 0;
}

SEC("tp_btf/cgroup_rename")
int cgroup_renamed(void *ctx)
{
	ADD(cgroup_changes, 1);
	return 0;
}
