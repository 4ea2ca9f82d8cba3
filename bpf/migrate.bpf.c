/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/migrate.bpf.c: how often threads are moved between CPUs. Off by default: it fires at each move. */
#include "who.bpf.h"

COLLECTOR(OFF, HOT);

struct group_key {
	cgroup_id_t cgroup;
};
struct cgroup_cpu {
	COUNTER(migrations, "Times a thread of the group was moved to another CPU, where its data is in no cache. High: "
		"more threads than CPUs, or a CPU limit that moves them about.");
};
TABLE(PERCPU_HASH, cgroup_cpu, struct group_key, struct cgroup_cpu, 4096);

/* Called with interrupts off: a CPU's rows have one writer. `current` is whoever moves it. */
SEC("tp_btf/sched_migrate_task")
int BPF_PROG(migrate, struct task_struct *task, int to)
{
	struct group_key key = {};
	struct cgroup_cpu *row;

	if (task_cpu(task) == (__u32)to)
		return 0; /* the kernel does not count this as a move either */
	key.cgroup = cgroup_of_task(task);
	row = ROW(cgroup_cpu, &key);
	if (row)
		row->migrations++;
	return 0;
}
