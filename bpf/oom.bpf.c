/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/oom.bpf.c: who was killed because memory ran out.
 *
 * `current` at mark_victim is whoever asked for memory, often not the victim.
 */
#include "who.bpf.h"

COLLECTOR(ON, RARE);

struct oom {
	RARE_COUNTER(kills, "Processes killed because memory ran out: the group's limit or the node's. The victim "
		     "is counted, not who asked for the memory. "
		"Any: the limit is too low for the work, or memory leaks.");
};
TABLE(HASH, oom, struct who, struct oom, 4096);

/*
 * Where mark_victim brings but a thread id: the kill signal was sent by the same thread just before
 * (__oom_kill_process), and there the victim's task is an argument. Keyed by the killer's thread.
 */
struct victim {
	struct who who;
	pid_t tid;
	__u32 _pad;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, pid_t);
	__type(value, struct victim);
	__uint(max_entries, 1024);
} oom_victims SEC(".maps");

static __always_inline void count(struct who *who)
{
	struct oom *row = WHO_ROW(oom, who);

	if (row)
		ADD(row->kills, 1);
}

SEC("tp_btf/mark_victim")
int oom_kill(__u64 *ctx)
{
	struct who who = { .cgroup = CGROUP_ROOT };
	pid_t killer = bpf_get_current_pid_tgid();
	struct victim *victim;

	if (bpf_core_type_exists(btf_trace_mark_victim___task)) {
		who_of_task(&who, (struct task_struct *)ctx[0]);
		count(&who);
		return 0;
	}
	victim = bpf_map_lookup_elem(&oom_victims, &killer);
	if (victim && victim->tid == (pid_t)ctx[0])
		who = victim->who;
	count(&who);
	bpf_map_delete_elem(&oom_victims, &killer);
	return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(oom_signal, int signal, struct kernel_siginfo *info, struct task_struct *task)
{
	struct victim victim = {};
	pid_t killer = bpf_get_current_pid_tgid();

	if (bpf_core_type_exists(btf_trace_mark_victim___task) || signal != 9 || (__u64)info != 1)
		return 0; /* 1: SEND_SIG_PRIV, sent by the kernel itself */
	who_of_task(&victim.who, task);
	victim.tid = task->pid;
	bpf_map_update_elem(&oom_victims, &killer, &victim, BPF_ANY);
	return 0;
}
