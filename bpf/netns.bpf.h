/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Which group lives in a network namespace: for packets that no socket is known of. owner.bpf.c looks
 * through the tasks; of several groups in one namespace, such as a pod's containers, it takes that of
 * the oldest task, which for a pod is its sandbox.
 */
#pragma once

#include "who.bpf.h"

struct netns {
	__u64 id;	    /* 0: no namespace here */
	cgroup_id_t cgroup; /* of the host's own namespace: the root group */
	__u64 start_time;   /* of the task that the group is taken from */
	__u64 sweep;	    /* the last one that met this task */
	__u64 round;	    /* in which it was counted last (sockets.bpf.c) */
};

/*
 * An array, not a hash: a namespace ends without a word, and the place of one that has no task any
 * more can be taken by another. Written by iterators alone, which run one after another.
 */
#define NETNS_PLACES 1024
#define NETNS_PROBES 4
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct netns);
	__uint(max_entries, NETNS_PLACES);
} shared_netns SEC(".maps");

/* How often a program met what owner.bpf.c did not see yet: the exporter then looks at its next poll. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} shared_sweeps_wanted SEC(".maps");

/* Namespaces that a sweep was asked for: one that has no task would ask for ever. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, NETNS_PLACES);
} shared_netns_asked SEC(".maps");

static __always_inline void want_sweep(void)
{
	__u32 first = 0;
	__u64 *wanted = bpf_map_lookup_elem(&shared_sweeps_wanted, &first);

	if (wanted)
		ADD(*wanted, 1);
}

/* The numbers are counted up, and so take one place each. */
static __always_inline __u32 netns_place(__u64 id, __u32 probe)
{
	return (id + probe) % NETNS_PLACES;
}

/* What is known of a namespace. NULL: nothing yet, and owner.bpf.c looks for it soon. */
static __always_inline struct netns *find_netns(struct net *net)
{
	__u64 id = netns_id(net), *asked;
	struct netns *known;
	__u32 place;

#pragma unroll
	for (int i = 0; i < NETNS_PROBES; i++) {
		place = netns_place(id, i);
		known = bpf_map_lookup_elem(&shared_netns, &place);
		if (known && known->id == id)
			return known;
	}
	place = netns_place(id, 0);
	asked = bpf_map_lookup_elem(&shared_netns_asked, &place);
	if (asked && *asked != id) {
		*asked = id;
		want_sweep();
	}
	return 0;
}

static __always_inline cgroup_id_t cgroup_of_netns(struct net *net)
{
	struct netns *known = find_netns(net);

	return known ? known->cgroup : CGROUP_ROOT;
}
