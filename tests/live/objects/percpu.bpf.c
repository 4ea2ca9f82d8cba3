/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* tests/live/objects/percpu.bpf.c: program starts in values per CPU, for tests where CPUs come and go. */
#include "who.bpf.h"

struct cgroup_starts {
	COUNTER(starts, "Programs started, of a test.");
};
TABLE(PERCPU_HASH, cgroup___percpu, cgroup_id_t, struct cgroup_starts, 1024);

struct node_starts {
	COUNTER(starts, "Programs started on the whole node, of a test.");
};
struct one {
	__u32 _row;
};
TABLE(PERCPU_ARRAY, node___percpu, struct one, struct node_starts, 1);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(percpu_exec, struct task_struct *task)
{
	cgroup_id_t cgroup = cgroup_of_task(task);
	struct cgroup_starts *row = ROW(cgroup___percpu, &cgroup);
	struct one zero = { 0 };
	struct node_starts *all = bpf_map_lookup_elem(&node___percpu, &zero);

	if (row)
		row->starts++;
	if (all)
		all->starts++;
	return 0;
}
