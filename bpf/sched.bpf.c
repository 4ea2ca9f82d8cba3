/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/sched.bpf.c: who waits for a CPU, and who took it.
 *
 * One hook, and no clock: the kernel already adds up each task's wait (sched_info.run_delay), its
 * runs (pcount) and its switches (nvcsw, nivcsw). At each switch the task that leaves has final
 * numbers, so their growth since its last switch is counted. An event that is missed is not lost
 * then: the next one brings its growth along.
 */
#include "who.bpf.h"

COLLECTOR(ON, HOT);

/*
 * How far a task's numbers are counted: by the switch hook for groups, by the iterator for processes.
 * Each writes its own only, so that they may meet on one task.
 */
struct counted {
	__u64 start_time; /* of the task that this is about; 0: not seen before */
	__u64 wait_ns, runs, voluntary, involuntary;
};
struct progress {
	struct counted group, process;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct progress);
} progress SEC(".maps");

/* By thread id, where tasks have no storage; start_time tells a reused id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, pid_t);
	__type(value, struct progress);
	__uint(max_entries, 32768);
} progress___before_5_11 SEC(".maps");

struct shard_key {
	cgroup_id_t cgroup;
	__u32 _shard; /* a row per CPU, or per few: they would fight for its cache line */
	__u32 _pad;
};
struct kind {
	counter_t voluntary, involuntary;
};
struct by {
	counter_t self, pod, system, kernel;
};
struct cgroup_sched {
	COUNTER(runqueue_wait_ns, "Time that runnable threads waited for a CPU. High: the node is short of CPU, or "
		"neighbours take it.");
	HISTOGRAM(runqueue_latency_ns, "Wait for a CPU before each run. "
		"High: the node is short of CPU, or neighbours take it.");
	COUNTER_BY(kind, context_switches,
		   "Times a thread left the CPU: voluntary (it waits for something) or involuntary (it was "
		   "made to). "
		"High: many short waits, or more threads than CPUs.");
	COUNTER_BY(by, preemptions,
		   "Times a runnable thread had to leave the CPU, by who took it: the same group, a pod, a "
		   "service of the system, the kernel. "
		"High by others than itself: neighbours take its CPU.");
};
TABLE(HASH, cgroup___sched, struct shard_key, struct cgroup_sched, 4096);

struct process_sched {
	COUNTER(runqueue_wait_ns, "Time that the process's runnable threads waited for a CPU. "
		"High: the node is short of CPU, or neighbours take it.");
	COUNTER_BY(kind, context_switches,
		   "Times a thread of the process left the CPU, of its own accord or not. "
		"High: many short waits, or more threads than CPUs.");
};
TABLE(HASH, ___process_sched, process_t, struct process_sched, 16384);

static __always_inline void read_counted(struct counted *now, struct task_struct *task)
{
	now->start_time = task->start_time;
	now->wait_ns = task->sched_info.run_delay;
	now->runs = task->sched_info.pcount;
	now->voluntary = task->nvcsw;
	now->involuntary = task->nivcsw;
}

static __always_inline struct progress *progress_of(struct task_struct *task)
{
	struct progress *known;

	if (have_local_storage()) {
		known = bpf_task_storage_get(&progress, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	} else {
		static const struct progress none;
		pid_t tid = task->pid;

		known = bpf_map_lookup_elem(&progress___before_5_11, &tid);
		if (!known) {
			bpf_map_update_elem(&progress___before_5_11, &tid, &none, BPF_NOEXIST);
			known = bpf_map_lookup_elem(&progress___before_5_11, &tid);
		}
	}
	return known;
}

/* What a task did before the exporter started is not counted; a younger one counts from its birth. */
static __always_inline void begin_if_new(struct counted *seen, const struct counted *now)
{
	static const struct counted nothing;

	if (seen->start_time == now->start_time)
		return;
	*seen = now->start_time < node_start_ns ? *now : nothing;
	seen->start_time = now->start_time;
}

/* Adds to the process what its thread did since this was last asked. */
static __always_inline void count_process(struct progress *progress, struct task_struct *task)
{
	struct counted *seen = &progress->process;
	struct counted now;
	struct process_sched *row;
	struct who who;

	read_counted(&now, task);
	begin_if_new(seen, &now);
	if (now.voluntary == seen->voluntary && now.involuntary == seen->involuntary &&
	    now.wait_ns == seen->wait_ns)
		return;
	who_of_task(&who, task);
	row = BUSY_WHO_ROW(___process_sched, &who);
	if (!row)
		return;
	ADD(row->runqueue_wait_ns, now.wait_ns - seen->wait_ns);
	ADD(row->context_switches.voluntary, now.voluntary - seen->voluntary);
	ADD(row->context_switches.involuntary, now.involuntary - seen->involuntary);
	*seen = now;
}

/*
 * Where each CPU has rows of its own, nobody else writes to one: a switch runs with interrupts off.
 * Only the row of zeros, which catches the overflow, is everybody's. A locked instruction takes 5 ns.
 */
#define ADD_HERE(alone, column, n) do { \
		if (alone) \
			(column) += (n); \
		else \
			ADD(column, n); \
	} while (0)

static __always_inline void observe(bool alone, struct histogram *histogram, __u64 wait_ns, __u64 runs)
{
	__u64 *slot = &histogram->slot[histogram_slot(runs > 1 ? wait_ns / runs : wait_ns)];

	ADD_HERE(alone, *slot, runs);
	ADD_HERE(alone, histogram->sum, wait_ns);
}

SEC("tp_btf/sched_switch")
int sched_switch(__u64 *ctx)
{
	struct task_struct *prev = switch_prev(ctx);
	struct shard_key key = {};
	struct progress *progress;
	struct cgroup_sched *row;
	bool alone = node_shard_per_cpu;
	struct counted now, *seen;
	__u64 involuntary;

	if (!prev->pid)
		return 0; /* the idle task: its runs are not work */
	progress = progress_of(prev);
	if (!progress)
		return 0;
	key.cgroup = cgroup_of_task(prev);
	key._shard = bpf_get_smp_processor_id() & (node_shards - 1);
	row = ROW_OR_NULL(cgroup___sched, &key);
	if (!row) {
		alone = false;
		row = ROW_OF_ZEROS(cgroup___sched);
		if (!row)
			return 0;
	}
	seen = &progress->group;
	read_counted(&now, prev);
	begin_if_new(seen, &now);
	ADD_HERE(alone, row->runqueue_wait_ns, now.wait_ns - seen->wait_ns);
	if (now.runs != seen->runs)
		observe(alone, &row->runqueue_latency_ns, now.wait_ns - seen->wait_ns, now.runs - seen->runs);
	if (now.voluntary != seen->voluntary)
		ADD_HERE(alone, row->context_switches.voluntary, now.voluntary - seen->voluntary);
	involuntary = now.involuntary - seen->involuntary;
	if (involuntary) {
		ADD_HERE(alone, row->context_switches.involuntary, involuntary);
		switch (party_of_task(key.cgroup, switch_next(ctx))) {
		case PARTY_SELF: ADD_HERE(alone, row->preemptions.self, involuntary); break;
		case PARTY_POD: ADD_HERE(alone, row->preemptions.pod, involuntary); break;
		case PARTY_SYSTEM: ADD_HERE(alone, row->preemptions.system, involuntary); break;
		case PARTY_KERNEL: ADD_HERE(alone, row->preemptions.kernel, involuntary); break;
		}
	}
	*seen = now;
	if (task_state(prev) & TASK_DEAD) {
		pid_t tid = prev->pid;

		count_process(progress, prev);
		if (!have_local_storage())
			bpf_map_delete_elem(&progress___before_5_11, &tid);
	}
	return 0;
}

/*
 * Before each poll: processes get what their threads did meanwhile, at no cost to the switches. A
 * thread that exits is left to its last switch, which may come at any moment: both would count it.
 */
SEC("iter/task")
int sched_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct progress *progress;

	if (!task || !task->pid || task->flags & PF_EXITING)
		return 0;
	progress = progress_of(task);
	if (progress)
		count_process(progress, task);
	return 0;
}
