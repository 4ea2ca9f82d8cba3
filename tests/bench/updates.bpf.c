/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* One counter update, UPDATES times a system call, so that the clock's own cost is a sixteenth. */
#include "who.bpf.h"

#define UPDATES 16
#define ROWS	1000

struct slot {
	__u32 number;
};
struct node_array {
	COUNTER(array, "Nothing: for the benchmark.");
};
TABLE(ARRAY, node___array, struct slot, struct node_array, 64);
struct node_percpu {
	COUNTER(percpu, "Nothing: for the benchmark.");
};
TABLE(PERCPU_ARRAY, node___percpu, struct slot, struct node_percpu, 64);
struct cgroup_hash {
	COUNTER(hash, "Nothing: for the benchmark.");
};
TABLE(HASH, cgroup___hash, cgroup_id_t, struct cgroup_hash, 4096);

__u32 turn = 0;

SEC("tp_btf/sys_enter")
int update_array(__u64 *ctx)
{
	__u32 at = turn++;

#pragma unroll
	for (int i = 0; i < UPDATES; i++) {
		struct slot key = { (at + i) % 64 };
		struct node_array *row = ROW(node___array, &key);

		if (row)
			ADD(row->array, 1);
	}
	return 0;
}

SEC("tp_btf/sys_enter")
int update_percpu(__u64 *ctx)
{
	__u32 at = turn++;

#pragma unroll
	for (int i = 0; i < UPDATES; i++) {
		struct slot key = { (at + i) % 64 };
		struct node_percpu *row = ROW(node___percpu, &key);

		if (row)
			row->percpu++;
	}
	return 0;
}

SEC("tp_btf/sys_enter")
int update_hash(__u64 *ctx)
{
	__u32 at = turn++ * UPDATES;

#pragma unroll
	for (int i = 0; i < UPDATES; i++) {
		cgroup_id_t key = 1 + (at + i) % ROWS;
		struct cgroup_hash *row = ROW(cgroup___hash, &key);

		if (row)
			ADD(row->hash, 1);
	}
	return 0;
}
