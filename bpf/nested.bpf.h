/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * NESTED_PROG("tp_btf/x", name, args...) { ... }: a program at a hook where softirqs come as well as tasks;
 * otherwise as SEC("tp_btf/x") int BPF_PROG(name, args...).
 *
 * Since 6.1 the kernel leaves a program out that runs already on this CPU (kernel/trace/bpf_trace.c,
 * __bpf_trace_run). A softirq that comes while a task is in it would go uncounted, with all the packets
 * that it works off: of a flood that meets a busy task, 5 to 9 %. From 7.0 on tasks are preempted in it as
 * well. So another program is attached behind it, and does the work when the first one is in the middle
 * of its own. Before 6.1 the first one always runs, has left again by then, and the second one has nothing
 * to do.
 *
 * What is left are interrupts between the kernel's mark and `busy`, before and after (of a trivial program
 * that is all the time it takes, so no third one is worth it), and a third event inside the second
 * program. Both are in bpf_exporter_program_missed_runs_total.
 */
#pragma once

#include "metrics.bpf.h"

/* The arguments come as words of `ctx`, whose types the function has: as BPF_PROG does it. */
#define NESTED_WORK(name, words...) \
	_Pragma("GCC diagnostic push") \
	_Pragma("GCC diagnostic ignored \"-Wint-conversion\"") \
	name##___work(words); \
	_Pragma("GCC diagnostic pop")

#define NESTED_PROG(section, name, args...) \
	struct { \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__type(key, __u32); \
		__type(value, __u32); \
		__uint(max_entries, 1); \
	} name##___busy SEC(".maps"); \
	__u64 name##___rescued = 0; /* runs of the second program that did the work */ \
	static __always_inline int name##___work(unsigned long long *ctx, ##args); \
	SEC(section) \
	int name(unsigned long long *ctx) \
	{ \
		static const __u32 first; \
		volatile __u32 *busy = bpf_map_lookup_elem(&name##___busy, &first); \
		if (!busy) \
			return 0; \
		*busy = 1; \
		NESTED_WORK(name, ___bpf_ctx_cast(args)); \
		*busy = 0; \
		return 0; \
	} \
	SEC(section) \
	int name##___nested(unsigned long long *ctx) \
	{ \
		static const __u32 first; \
		volatile __u32 *busy = bpf_map_lookup_elem(&name##___busy, &first); \
		if (!busy || !*busy) \
			return 0; \
		ADD(name##___rescued, 1); \
		NESTED_WORK(name, ___bpf_ctx_cast(args)); \
		return 0; \
	} \
	static __always_inline int name##___work(unsigned long long *ctx, ##args)
