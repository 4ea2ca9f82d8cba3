/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Tables for the tests of fold, one of each shape. Never loaded: rows come from the tests. */
#include "who.bpf.h"

enum cause { CAUSE_UNKNOWN, CAUSE_FAST, CAUSE_SLOW };

/* who alone: process and group level */
struct who_value {
	COUNTER(hits, "Hits.");
	COUNTER(wait_ns, "Wait.");
};
TABLE(HASH, who_plain, struct who, struct who_value, 64);

/* who, a label of the group alone, one of both levels */
struct cause_key {
	struct who who;
	struct {
		enum cause cause;
		__u32 _pad;
	} group;
	errno_t errno;
	__u32 _pad;
};
struct cause_value {
	COUNTER(losses, "Losses.");
};
TABLE(HASH, who_cause, struct cause_key, struct cause_value, 64);

/* rare events: 0 for each group */
struct rare_value {
	RARE_COUNTER(kills, "Kills.");
};
TABLE(HASH, rare, struct who, struct rare_value, 64);

/* the process level alone */
struct lone_value {
	COUNTER(runs, "Runs.");
};
TABLE(HASH, ___lone, process_t, struct lone_value, 64);

/* a group's histogram, one label split into counters, rows split by shard */
struct kind {
	counter_t good, bad;
};
struct shard_key {
	cgroup_id_t cgroup;
	__u32 _shard;
	__u32 _pad;
};
struct shard_value {
	HISTOGRAM(took_ns, "Time taken.");
	COUNTER_BY(kind, tries, "Tries.");
};
TABLE(HASH, cgroup_shard, struct shard_key, struct shard_value, 64);

struct gauge_value {
	GAUGE(open, "Open now.");
};
TABLE(HASH, cgroup_files, cgroup_id_t, struct gauge_value, 64);

/* counted anew by each poll */
REFILLED_TABLE(HASH, cgroup_ports, struct shard_key, struct gauge_value, 64);

/* arrays: by an enum, and labelless; a hash of the same value */
struct node_value {
	COUNTER(drops, "Drops.");
};
TABLE(PERCPU_ARRAY, node_by_cause, enum cause, struct node_value, 4);
TABLE(PERCPU_ARRAY, node_all, __u32, struct node_value, 1);
TABLE(HASH, device_by_cause, enum cause, struct node_value, 4);

/* an array most of whose rows are nobody's */
struct irq_key {
	irq_t name;
};
TABLE(PERCPU_ARRAY, node_by_irq, struct irq_key, struct node_value, 8);
