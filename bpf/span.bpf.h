/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * How long a thread took for something that it begins and ends itself (a system call, a stall).
 *
 * By thread id and not in the thread's own storage: a row is there while the thing lasts and is made
 * of memory taken at load, whereas storage is allocated at each thread's first time, which may be
 * inside the kernel's search for memory, and stays until the thread ends. What began before the exporter came has no row
 * at its end and is not counted.
 */
#pragma once

#include "metrics.bpf.h"

struct span {
	pid_t tid;
	__u32 what; /* spans of one thread that may lie in each other */
};

#define SPANS(name, rows) TABLE(HASH, name, struct span, __u64, rows)

static __always_inline struct span span_of_current(__u32 what)
{
	return (struct span){ .tid = (__u32)bpf_get_current_pid_tgid(), .what = what };
}

#define SPAN_BEGIN(spans, what) ({ \
	struct span _span = span_of_current(what); \
	__u64 _now = bpf_ktime_get_ns(); \
	if (bpf_map_update_elem(&(spans), &_span, &_now, BPF_ANY)) \
		ADD(spans##___lost, 1); })

/* Whether its begin was seen; `took` is in ns. */
#define SPAN_END(spans, what, took) ({ \
	struct span _span = span_of_current(what); \
	__u64 *_begin = bpf_map_lookup_elem(&(spans), &_span); \
	if (_begin) { \
		took = bpf_ktime_get_ns() - *_begin; \
		bpf_map_delete_elem(&(spans), &_span); \
	} \
	_begin != 0; })
