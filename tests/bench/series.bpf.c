/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A collector with ROWS rows, and so ROWS series, for the daemon's benchmarks. One row for each series
 * is the worst case: real tables have two to twenty series a row. A line is 110 bytes, as long as
 * that of a container on Kubernetes.
 */
#include "who.bpf.h"

#define CHUNK 4096 /* rows that one call fills in */

struct series_key {
	cgroup_id_t cgroup;
	__u32 namespace_pod_and_container;
	__u32 number_of_the_row;
};
struct cgroup_bench {
	COUNTER(events, "Nothing: rows for the benchmark.");
};
TABLE(HASH, cgroup_bench, struct series_key, struct cgroup_bench, ROWS + 1);

__u32 filled = 0;

/* Poll by poll, and task by task, until all are there; then it costs nothing. */
SEC("iter/task")
int series_fill(struct bpf_iter__task *ctx)
{
	__u32 first = filled;

	if (!ctx->task || first >= ROWS)
		return 0;
	TOUCH(cgroup_bench);
	for (__u32 i = 0; i < CHUNK; i++) {
		struct series_key key = { .cgroup = CGROUP_ROOT };
		struct cgroup_bench row = {};

		key.number_of_the_row = first + i;
		key.namespace_pod_and_container = 1000000 + key.number_of_the_row * 7919 % 1000000;
		row.events = key.number_of_the_row * 7919ULL + 1;
		if (key.number_of_the_row < ROWS)
			bpf_map_update_elem(&cgroup_bench, &key, &row, BPF_NOEXIST);
	}
	filled = first + CHUNK;
	return 0;
}
