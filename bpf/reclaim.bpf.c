/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/reclaim.bpf.c: who had to free memory itself before getting some, and how long that took.
 *
 * All of it happens to the thread that asked for memory: `current` is right, also where newer kernels
 * name the memory group. That one is whose limit was hit, which may be a parent's.
 */
#include "who.bpf.h"
#include "span.bpf.h"

enum scope { SCOPE_UNKNOWN, SCOPE_NODE, SCOPE_MEMCG };

struct reclaim_key {
	struct who who;
	enum scope scope;
	__u32 _pad;
};
struct reclaim {
	COUNTER(direct_reclaims, "Times a thread had to free memory itself before it got some, because the node ran "
		"short (node) or its group's memory limit was reached (memcg). "
		"High: memory is too short for what runs.");
	COUNTER(direct_reclaim_ns, "Time that threads stood still to free memory themselves, because the node ran short "
		"(node) or their group's memory limit was reached (memcg). High: they wait instead of "
		"work.");
};
TABLE(HASH, ___reclaim, struct reclaim_key, struct reclaim, 8192);

struct cgroup_reclaim {
	HISTOGRAM(direct_reclaim_latency_ns, "Time that each freeing of memory by a thread itself took. "
		"High: threads stand still for so long.");
	COUNTER(compaction_stall_ns, "Time that threads stood still to move memory together, for a larger piece of it "
		"(such as a huge page). High: the node's memory is fragmented.");
};
TABLE(HASH, cgroup___reclaim, cgroup_id_t, struct cgroup_reclaim, 1024);

struct throttle_key {
	enum vmscan_throttle_state reason;
};
struct node_reclaim {
	COUNTER(reclaim_throttles, "Times freeing memory had to pause, by what it waited for: writes to disk, other "
		"threads that free memory, any progress at all. "
		"High: memory is short, and the disk too slow to free it.");
};
TABLE(ARRAY, node___reclaim, struct throttle_key, struct node_reclaim, NR_VMSCAN_THROTTLE);

enum { SPAN_COMPACTION = SCOPE_MEMCG + 1 };
SPANS(reclaims_running, 4096);

static __always_inline void reclaimed(enum scope scope)
{
	struct reclaim_key key = { .scope = scope };
	struct cgroup_reclaim *cgroup;
	struct reclaim *row;
	__u64 took;

	if (!SPAN_END(reclaims_running, scope, took))
		return;
	who_current(&key.who);
	row = WHO_ROW(___reclaim, &key);
	if (row) {
		ADD(row->direct_reclaims, 1);
		ADD(row->direct_reclaim_ns, took);
	}
	cgroup = ROW(cgroup___reclaim, &key.who.cgroup);
	if (cgroup)
		OBSERVE_NS(cgroup->direct_reclaim_latency_ns, took);
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int reclaim_node_begin(void *ctx)
{
	SPAN_BEGIN(reclaims_running, SCOPE_NODE);
	return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int reclaim_node_end(void *ctx)
{
	reclaimed(SCOPE_NODE);
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int reclaim_memcg_begin(void *ctx)
{
	SPAN_BEGIN(reclaims_running, SCOPE_MEMCG);
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int reclaim_memcg_end(void *ctx)
{
	reclaimed(SCOPE_MEMCG);
	return 0;
}

/* The kernel's own threads for it, one a node: nobody waits for them. */
static __always_inline bool is_kcompactd(void)
{
	comm_t comm;

	bpf_get_current_comm(comm, sizeof(comm));
	if (*(__u64 *)comm != *(const __u64 *)"kcompact" || comm[8] != 'd')
		return false;
	/* any thread may call itself so; 5.10 does not tell more */
	return !have_local_storage() || bpf_get_current_task_btf()->flags & PF_KTHREAD;
}

SEC("tp_btf/mm_compaction_begin")
int reclaim_compaction_begin(void *ctx)
{
	if (!is_kcompactd())
		SPAN_BEGIN(reclaims_running, SPAN_COMPACTION);
	return 0;
}

SEC("tp_btf/mm_compaction_end")
int reclaim_compaction_end(void *ctx)
{
	struct cgroup_reclaim *row;
	struct who who;
	__u64 took;

	if (!SPAN_END(reclaims_running, SPAN_COMPACTION, took))
		return 0;
	who_current(&who);
	row = ROW(cgroup___reclaim, &who.cgroup);
	if (row)
		ADD(row->compaction_stall_ns, took);
	return 0;
}

SEC("tp_btf/mm_vmscan_throttled")
int BPF_PROG(reclaim_throttled, int node, int timeout, int took, int reason)
{
	struct throttle_key key = { .reason = reason };
	struct node_reclaim *row = ROW(node___reclaim, &key);

	if (row)
		ADD(row->reclaim_throttles, 1);
	return 0;
}
