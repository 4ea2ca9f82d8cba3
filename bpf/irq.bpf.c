/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/irq.bpf.c: what interrupts cost, and whose time they took.
 *
 * A device's interrupt is a hardirq; what it leaves for later (receive these packets) is a softirq, which
 * runs when the hardirq ends, or when the task that was interrupted, or that itself raised it, enables
 * softirqs again. Both run in the time of whichever task happens to be on the CPU.
 *
 * Rows of a CPU are written on that CPU alone. A softirq program may be interrupted between any two
 * instructions by the hardirq programs, which run to their end before it goes on: so a word that both
 * write is added to by one instruction, and of the others each has its one writer.
 */
#include "who.bpf.h"

COLLECTOR(ON, HOT);

/* include/linux/interrupt.h, in the kernel's order, which has not changed since 4.x */
enum vec {
	VEC_HI,
	VEC_TIMER,
	VEC_NET_TX,
	VEC_NET_RX,
	VEC_BLOCK,
	VEC_IRQ_POLL,
	VEC_TASKLET,
	VEC_SCHED,
	VEC_HRTIMER,
	VEC_RCU,
	VECS,
};
struct softirq {
	COUNTER(softirqs, "Softirqs run, by kind: the kernel's deferred work for interrupts, such as receiving "
		"packets (net_rx). "
		"High: much traffic, or many timers; softirq_seconds says what that costs.");
	COUNTER(softirq_ns, "CPU time of softirqs, by kind, without the hardirqs that interrupted them. High: "
		"packets, timers or I/O keep CPUs from running programs.");
	__u64 raised_ns; /* when it was asked for; 0: it was not */
};
TABLE(PERCPU_ARRAY, node___softirq, enum vec, struct softirq, VECS);

/* Of those whose delay is felt; the others are raised far more often than they matter. */
enum timed { TIMED_TIMER, TIMED_NET_TX, TIMED_NET_RX, TIMED_BLOCK, TIMED_SCHED, TIMED_VECS };
struct timed_key {
	enum timed vec;
};
struct latency {
	HISTOGRAM(softirq_latency_ns, "Time from asking for a softirq to its start. High: something keeps the CPU, "
		  "and packets or timers wait.");
};
TABLE(PERCPU_ARRAY, node___latency, struct timed_key, struct latency, TIMED_VECS);

struct hardirq_key {
	irq_t name;
};
struct hardirq {
	COUNTER(hardirqs, "Interrupts of devices handled, by the name in /proc/interrupts (other: beyond 64 names). "
		"High: a device interrupts often; hardirq_seconds says what that costs.");
	COUNTER(hardirq_ns, "CPU time of the handlers of devices' interrupts, by name. High: a device interrupts "
		"too often or its driver takes too long.");
};
TABLE(PERCPU_ARRAY, node___hardirq, struct hardirq_key, struct hardirq, 1024); /* as many as the node has */

struct victim_key {
	cgroup_id_t cgroup;
};
struct victim {
	COUNTER(stolen_ns, "CPU time that hardirqs and softirqs took while a thread of the group was on the CPU: the "
		"group is their victim, not their cause. High: move it, or the interrupts, to other CPUs.");
};
TABLE(PERCPU_HASH, cgroup_irq, struct victim_key, struct victim, 4096);

/*
 * Time on its way to a group's row: looking the row up at each event would cost more than all else. It
 * is put there when another group is the victim, or after PENDING_NS. Each context has its own.
 */
struct pending {
	__u64 set; /* the css_set whose tasks are the victims: one load tells that it is the same group */
	__u64 since_ns, ns;
	__u64 idle_ns; /* taken while the CPU had nothing else to do: nobody's loss */
	cgroup_id_t cgroup;
};
#define PENDING_NS 10000000

/* What goes on on a CPU; what a hardirq needs comes first, together. */
struct cpu {
	__u64 hard_action;  /* the handler that runs, 0: none; of nested ones the outermost */
	__u64 hard_start;
	__u64 hard_sibling; /* who is next in a line that devices share */
	__u64 hard_ns;	    /* of all handlers, ever */
	struct pending hard, soft;
	__u64 soft_start; /* by soft_clock(); 0: none runs */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct cpu);
	__uint(max_entries, 1);
} irq_cpu SEC(".maps");

static __always_inline struct cpu *this_cpu(void)
{
	static const __u32 first;

	return bpf_map_lookup_elem(&irq_cpu, &first);
}

static __always_inline void steal(struct pending *pending, __u64 ns, __u64 now)
{
	struct victim_key key = {};
	struct victim *row;
	pid_t tid;
	__u64 set;

	if (have_local_storage()) {
		struct task_struct *task = bpf_get_current_task_btf();

		tid = task->pid;
		set = (__u64)task->cgroups;
	} else {
		tid = bpf_get_current_pid_tgid();
		set = bpf_get_current_cgroup_id();
	}
	if (!tid) {
		pending->idle_ns += ns;
		return;
	}
	if (pending->set == set && now - pending->since_ns < PENDING_NS) {
		pending->ns += ns;
		return;
	}
	if (pending->cgroup) {
		key.cgroup = pending->cgroup;
		row = BUSY_ROW(cgroup_irq, &key);
		if (row)
			ADD(row->stolen_ns, pending->ns);
	}
	pending->set = set;
	pending->cgroup = cgroup_of_current();
	pending->since_ns = now;
	pending->ns = ns;
}

/* ---- hardirqs ----
 *
 * Their programs cannot be interrupted, but by the handler of an NMI that is an interrupt of its own
 * (arm64), or inside handlers that enable interrupts: such nested time is the outer handler's already.
 * An end without its beginning (before the exporter came) says nothing; ends are attached first.
 */

static __always_inline struct hardirq *row_of(int irq)
{
	struct hardirq_key key = { .name = irq + 1 }, other = {};
	struct hardirq *row = bpf_map_lookup_elem(&node___hardirq, &key);

	return row ? row : bpf_map_lookup_elem(&node___hardirq, &other);
}

static __always_inline int end_hardirq(int irq, __u64 action, __u64 sibling)
{
	struct cpu *cpu = this_cpu();
	struct hardirq *row;
	__u64 took, now;

	if (!cpu || cpu->hard_action != action)
		return 0;
	now = bpf_ktime_get_ns();
	took = now - cpu->hard_start;
	cpu->hard_ns += took;
	row = row_of(irq);
	if (row) {
		/* once for the line, as the kernel counts, not for each of the devices on it */
		if (cpu->hard_sibling != action)
			row->hardirqs++;
		row->hardirq_ns += took;
	}
	steal(&cpu->hard, took, now);
	cpu->hard_sibling = sibling;
	cpu->hard_action = 0;
	return 0;
}

static __always_inline int begin_hardirq(int irq, __u64 action)
{
	struct cpu *cpu = this_cpu();
	struct hardirq *row;

	if (!cpu)
		return 0;
	if (cpu->hard_action && cpu->hard_action != action) {
		row = row_of(irq);
		if (row)
			row->hardirqs++;
		return 0;
	}
	cpu->hard_action = action;
	cpu->hard_start = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(hardirq_end, int irq, struct irqaction *action)
{
	return end_hardirq(irq, (__u64)action, (__u64)action->next);
}

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(hardirq_begin, int irq, struct irqaction *action)
{
	return begin_hardirq(irq, (__u64)action);
}

/* ---- softirqs ---- */

/*
 * A clock that stands still while hardirqs run. One may come between the two readings, and would be
 * counted for both, or for none: then read again.
 */
static __always_inline __u64 soft_clock(struct cpu *cpu, __u64 *now)
{
	volatile __u64 *hard_ns = &cpu->hard_ns;
	__u64 hard = *hard_ns;

	*now = bpf_ktime_get_ns();
	for (int again = 0; again < 2 && *hard_ns != hard; again++) {
		hard = *hard_ns;
		*now = bpf_ktime_get_ns();
	}
	return *now - hard;
}

static __always_inline int end_softirq(unsigned int vec)
{
	struct cpu *cpu = this_cpu();
	struct softirq *row;
	__u64 took, now;

	if (!cpu || !cpu->soft_start)
		return 0;
	row = bpf_map_lookup_elem(&node___softirq, &vec);
	if (!row)
		return 0;
	took = soft_clock(cpu, &now) - cpu->soft_start;
	cpu->soft_start = 0;
	row->softirq_ns += took;
	steal(&cpu->soft, took, now);
	return 0;
}

static __always_inline bool timed_of(unsigned int vec, enum timed *timed)
{
	switch (vec) {
	case VEC_TIMER: *timed = TIMED_TIMER; return true;
	case VEC_NET_TX: *timed = TIMED_NET_TX; return true;
	case VEC_NET_RX: *timed = TIMED_NET_RX; return true;
	case VEC_BLOCK: *timed = TIMED_BLOCK; return true;
	case VEC_SCHED: *timed = TIMED_SCHED; return true;
	}
	return false;
}

static __always_inline int begin_softirq(unsigned int vec)
{
	struct cpu *cpu = this_cpu();
	struct timed_key key;
	struct softirq *row;
	struct latency *latency;
	__u64 now, *slot, waited;

	if (!cpu)
		return 0;
	row = bpf_map_lookup_elem(&node___softirq, &vec);
	if (!row)
		return 0;
	row->softirqs++;
	cpu->soft_start = soft_clock(cpu, &now);
	if (!row->raised_ns || !timed_of(vec, &key.vec))
		return 0;
	waited = now - row->raised_ns;
	row->raised_ns = 0;
	latency = bpf_map_lookup_elem(&node___latency, &key);
	if (!latency)
		return 0;
	slot = &latency->softirq_latency_ns.slot[histogram_slot(waited)];
	(*slot)++;
	latency->softirq_latency_ns.sum += waited;
	return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_end, unsigned int vec)
{
	return end_softirq(vec);
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_begin, unsigned int vec)
{
	return begin_softirq(vec);
}

/* Asked for again before it began: it has waited since the first time. */
SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_asked, unsigned int vec)
{
	struct softirq *row;
	enum timed timed;

	if (!timed_of(vec, &timed))
		return 0;
	row = bpf_map_lookup_elem(&node___softirq, &vec);
	if (row && !row->raised_ns)
		row->raised_ns = bpf_ktime_get_ns();
	return 0;
}
