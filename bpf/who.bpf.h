/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Who did it. A key that holds a `struct who` gives two families: one per process, one per group.
 * Fill it only by the functions below, which know where `current` is somebody else.
 */
#pragma once

#include "metrics.bpf.h"
#include "compat.bpf.h"

struct who {
	cgroup_id_t cgroup;
	pid_t pid;    /* the process (tgid); 0: known for the group alone */
	comm_t comm;  /* of the group leader */
	__u32 _pad;
};

/* A table with this key gives the process level alone: its group level is counted elsewhere. */
typedef struct who process_t;

/* Set by the exporter before load. */
const volatile bool node_cgroup_v1 = false; /* groups are the memory controller's, not v2's */
const volatile __u64 node_start_ns = 0;	    /* CLOCK_MONOTONIC when the exporter started */
const volatile __u32 node_hz = 250;	    /* jiffies in a second */
const volatile __u32 node_shards = 1;	    /* a power of two */
const volatile bool node_shard_per_cpu = false; /* no two CPUs have the same shard */

/* The root group: the kernel's own work, and what no group is known for (kernfs numbers it 1). */
#define CGROUP_ROOT  1
/* An id of the blkio hierarchy: on cgroup v1 each controller numbers its groups by itself. */
#define CGROUP_BLKIO (1ULL << 63)

/* Cgroups of pods, kept by the exporter: whether a neighbour is a pod or a service of the system. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, cgroup_id_t);
	__type(value, __u8);
	__uint(max_entries, 4096);
} shared_pod_cgroups SEC(".maps");

static __always_inline cgroup_id_t cgroup_of_task(struct task_struct *task)
{
	struct css_set *set = task->cgroups;

	if (node_cgroup_v1) {
		struct cgroup_subsys_state **css = (void *)set->subsys;
		__u64 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

		return css[memory]->cgroup->kn->id;
	}
	return set->dfl_cgrp->kn->id;
}

static __always_inline void who_of_task(struct who *who, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	__builtin_memset(who, 0, sizeof(*who));
	who->cgroup = cgroup_of_task(task);
	who->pid = task->tgid;
	for (int i = 0; i < (int)sizeof(who->comm); i++)
		who->comm[i] = leader->comm[i];
}

/*
 * The process that runs. 5.10 gives no task to read, so there the name is the thread's, and on
 * cgroup v1 no group is known.
 */
static __always_inline void who_current(struct who *who)
{
	if (have_local_storage()) {
		who_of_task(who, bpf_get_current_task_btf());
		return;
	}
	__builtin_memset(who, 0, sizeof(*who));
	who->cgroup = node_cgroup_v1 ? CGROUP_ROOT : bpf_get_current_cgroup_id();
	who->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(who->comm, sizeof(who->comm));
}

/*
 * Who else is on this CPU, seen from group `me`; for labels such as preemptions by=...
 * Looking up is for rare events only: it costs a map lookup when the groups differ.
 */
enum party { PARTY_SELF, PARTY_POD, PARTY_SYSTEM, PARTY_KERNEL };

static __always_inline enum party party_of_task(cgroup_id_t me, struct task_struct *other)
{
	cgroup_id_t cgroup;

	if (other->flags & PF_KTHREAD)
		return PARTY_KERNEL;
	cgroup = cgroup_of_task(other);
	if (cgroup == me)
		return PARTY_SELF;
	return bpf_map_lookup_elem(&shared_pod_cgroups, &cgroup) ? PARTY_POD : PARTY_SYSTEM;
}
