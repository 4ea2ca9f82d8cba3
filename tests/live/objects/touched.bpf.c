/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * For touched_test.sh: a table whose program says that it touches it, and one of two programs, of which one
 * does not. Counts the programs that "touched" processes become.
 */
#include "who.bpf.h"

struct group_key { cgroup_id_t cgroup; };
struct cgroup_told { COUNTER(execs, "Programs started whose name begins with touched."); };
struct cgroup_half { COUNTER(execs, "The same, counted by two programs."); };
TABLE(HASH, cgroup_told, struct group_key, struct cgroup_told, 64);
TABLE(HASH, cgroup_half, struct group_key, struct cgroup_half, 64);

static __always_inline bool is_mine(struct group_key *key, struct task_struct *task)
{
	struct who who;

	who_of_task(&who, task);
	key->cgroup = who.cgroup;
	return who.comm[0] == 't' && who.comm[1] == 'o' && who.comm[2] == 'u' && who.comm[6] == 'd';
}

SEC("tp_btf/sched_process_exec")
int touched_exec(__u64 *ctx)
{
	struct cgroup_told *told;
	struct cgroup_half *half;
	struct group_key key;

	if (!is_mine(&key, (struct task_struct *)ctx[0]))
		return 0;
	told = ROW(cgroup_told, &key);
	if (told)
		ADD(told->execs, 1);
	half = ROW(cgroup_half, &key);
	if (half)
		ADD(half->execs, 1);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int touched_not(__u64 *ctx)
{
	struct cgroup_half *half;
	struct group_key key;

	if (!is_mine(&key, (struct task_struct *)ctx[0]))
		return 0;
	half = bpf_map_lookup_elem(&cgroup_half, &key);
	if (half)
		ADD(half->execs, 1);
	return 0;
}
