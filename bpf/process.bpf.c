/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/process.bpf.c: how processes begin and end. */
#include "who.bpf.h"

struct kind {
	counter_t process, thread;
};
struct result {
	counter_t ok, error, signal;
};
struct cgroup_process {
	COUNTER(execs, "Programs started (execve). High: a script or a health check that starts many.");
	COUNTER_BY(kind, forks, "Processes and threads created. "
		"High: many short-lived ones, or ever more of them.");
	COUNTER_BY(result, exits,
		   "Processes that ended: with status 0 (ok), with another one (error), killed by a signal. "
		"Many that are not ok: it fails, and may be restarted again and again.");
};
TABLE(HASH, cgroup___process, cgroup_id_t, struct cgroup_process, 4096);

enum sender { SENDER_UNKNOWN, SENDER_SELF, SENDER_POD, SENDER_SYSTEM, SENDER_KERNEL };

struct signal_key {
	cgroup_id_t cgroup;
	signal_t signal;
	enum sender sender;
};
struct cgroup_signal {
	COUNTER(fatal_signals, "Signals that usually end a process (ABRT, BUS, FPE, ILL, KILL, SEGV, TERM), sent to a "
		"process of the group, by who sent it. "
		"ABRT, BUS, FPE, ILL, SEGV: it crashes; KILL of the kernel: memory ran out.");
};
TABLE(HASH, cgroup___signal, struct signal_key, struct cgroup_signal, 8192);

static __always_inline struct cgroup_process *row_of(struct task_struct *task)
{
	cgroup_id_t cgroup = cgroup_of_task(task);

	return ROW(cgroup___process, &cgroup);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	struct cgroup_process *row = row_of(task);

	if (row)
		ADD(row->execs, 1);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(process_fork, struct task_struct *child, __u64 flags)
{
	struct cgroup_process *row = row_of(child);

	if (!row)
		return 0;
	if (flags & CLONE_THREAD)
		ADD(row->forks.thread, 1);
	else
		ADD(row->forks.process, 1);
	return 0;
}

/* The status that wait() will report: kernel/exit.c, wait_task_zombie(). */
static __always_inline int exit_code(struct task_struct *task)
{
	if (task->signal->flags & SIGNAL_GROUP_EXIT)
		return task->signal->group_exit_code;
	return task->group_leader->exit_code;
}

/* Processes of several threads whose end is counted, by their leader: its memory is freed last. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, __u8);
	__uint(max_entries, 16384);
} process_ended SEC(".maps");

/*
 * For kernels that do not say whether a thread is the last. signal->live fell before this hook, so
 * threads that end together (exit_group) may all find 0 in it: the first one counts.
 */
static __always_inline bool is_first_of_last(struct task_struct *task)
{
	__u64 leader = (__u64)task->group_leader;
	__u8 yes = 1;

	if (task->signal->live.counter)
		return false;
	if (task->signal->nr_threads == 1 && !bpf_map_lookup_elem(&process_ended, &leader))
		return true;
	/* (int): before 6.4 (d7ba4cc900bf) the upper half of what a map update gives is undefined */
	return (int)bpf_map_update_elem(&process_ended, &leader, &yes, BPF_NOEXIST) != -EEXIST;
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(process_freed, struct task_struct *task)
{
	__u64 leader = (__u64)task;

	if (!bpf_core_type_exists(btf_trace_sched_process_exit___group_dead) && task->pid == task->tgid)
		bpf_map_delete_elem(&process_ended, &leader);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int process_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct cgroup_process *row;
	bool last;
	int code;

	if (bpf_core_type_exists(btf_trace_sched_process_exit___group_dead))
		last = ctx[1];
	else
		last = is_first_of_last(task);
	if (!last)
		return 0;
	row = row_of(task);
	if (!row)
		return 0;
	code = exit_code(task);
	if (code & 0x7f)
		ADD(row->exits.signal, 1);
	else if (code >> 8 & 0xff)
		ADD(row->exits.error, 1);
	else
		ADD(row->exits.ok, 1);
	return 0;
}

static __always_inline bool is_fatal(int signal)
{
	switch (signal) {
	case 4:	 /* ILL */
	case 6:	 /* ABRT */
	case 7:	 /* BUS */
	case 8:	 /* FPE */
	case 9:	 /* KILL */
	case 11: /* SEGV */
	case 15: /* TERM */
		return true;
	}
	return false;
}

static __always_inline enum sender sender_now(cgroup_id_t target)
{
	cgroup_id_t sender;

	if (have_local_storage())
		return SENDER_SELF + party_of_task(target, bpf_get_current_task_btf());
	if (node_cgroup_v1)
		return SENDER_UNKNOWN; /* 5.10 tells but the v2 group of who runs */
	sender = bpf_get_current_cgroup_id();
	if (sender == target)
		return SENDER_SELF;
	return bpf_map_lookup_elem(&shared_pod_cgroups, &sender) ? SENDER_POD : SENDER_SYSTEM;
}

static __always_inline void count_signal(int signal, struct task_struct *task, bool from_kernel)
{
	struct signal_key key = { .signal = signal };
	struct cgroup_signal *row;

	key.cgroup = cgroup_of_task(task);
	key.sender = from_kernel ? SENDER_KERNEL : sender_now(key.cgroup);
	row = ROW(cgroup___signal, &key);
	if (row)
		ADD(row->fatal_signals, 1);
}

/*
 * info is 1 (SEND_SIG_PRIV) when the kernel sends by itself; else its si_code is positive for a fault
 * or a timer, and 0 or negative when a process sent it. Where info cannot be read, a fault is known by
 * this: a process sends from a system call. `result`: ignored, already pending, or lost.
 */
SEC("tp_btf/signal_generate")
int process_signal(__u64 *ctx)
{
	int signal = ctx[0], result = ctx[4];
	bool from_kernel = ctx[1] == 1;

	if (!is_fatal(signal) || result)
		return 0;
	if (have_task_regs()) {
		from_kernel |= !in_system_call();
	} else if (!from_kernel) {
		struct kernel_siginfo *info = ctx_arg(ctx, 1);

		from_kernel = !is_null(info) && info->si_code > 0;
	}
	count_signal(signal, ctx_arg(ctx, 2), from_kernel);
	return 0;
}
