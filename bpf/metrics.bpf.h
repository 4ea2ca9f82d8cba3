/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A map is a table: the members of its key are labels, the members of its value are metrics.
 *
 *	ebpf_<table>_<member>[_total]{<key member>="...",...}
 *
 * The type of a member says how to decode it, its name what to call it, its HELP what it means.
 * What follows `___` in a name is not part of it: tables `tcp` and `tcp___by_cause` both begin
 * ebpf_tcp_. A map whose value has no metric is scratch space and is not exported; when its name
 * begins with `shared_`, all objects that declare it use one.
 *
 * A program in SEC("iter/...") is run to its end before each time that its tables are read; by an
 * object without metrics every 10 s, before the others. One in SEC("iter/bpf_sk_storage_map") or
 * SEC("iter/bpf_map_elem") visits the map that its name ends in: x___sockets() iterates over `sockets`;
 * one in SEC("?iter/...") runs instead where the kernel refuses iterators over maps.
 */
#pragma once

#include "vmlinux.h"
#include "histogram.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/*
 * Labels. Also: pid_t, dev_t (a disk's name), __be16 (port), __be32 and struct in6_addr (address),
 * char[], enums (by the running kernel's names when it has that enum), integers. Value 0 of an enum
 * should mean "unknown": it is what the row that catches the overflow says. A member that starts
 * with `_` is padding, or splits a row (such as `_shard`), and is no label.
 */
typedef __u64 cgroup_id_t; /* who: one of the labels unit, cgroup, ... */
typedef __u32 ifindex_t;   /* interface name */
typedef __s32 errno_t;	   /* ECONNREFUSED; or what is no error number: the last two of these */
enum { ERRNO_NAMED = 134 /* below: what a process may see */, ERRNO_ABORTED = 4096, ERRNO_OTHER };
typedef __u32 signal_t;	   /* TERM */
typedef __u32 irq_t;	   /* an interrupt's number plus 1: who uses it, as /proc/interrupts says */
typedef char comm_t[16];

/* Metrics. A name ending in _ns, _us or _ms is exported in seconds. */
typedef __u64 counter_t, gauge_t;
typedef __u64 rare_counter_t; /* of events that alerts watch: 0 for each known group from the start */
struct histogram {
	__u64 slot[HIST_SLOTS];
	__u64 sum;
};

#define METRIC(type, name, text) \
	_Static_assert(sizeof("" text) > 1, "metric " #name " needs a help text"); \
	type name __attribute__((btf_decl_tag("" text)))
#define COUNTER(name, text)	 METRIC(counter_t, name, text)
#define RARE_COUNTER(name, text) METRIC(rare_counter_t, name, text)
#define GAUGE(name, text)	 METRIC(gauge_t, name, text)
#define HISTOGRAM(name, text)	 METRIC(struct histogram, name, text) /* of a time: name it x_ns */

/*
 * Counters of one event that differ in one label, without a row each: the structure's tag is the
 * label, its members are the label's values.
 *	struct kind { counter_t voluntary, involuntary; };
 *	COUNTER_BY(kind, switches, "...");
 */
#define COUNTER_BY(label, name, text) METRIC(struct label, name, text)

#define TABLE(map_type, name, key_type, value_type, rows) \
	struct { \
		__uint(type, BPF_MAP_TYPE_##map_type); \
		__type(key, key_type); \
		__type(value, value_type); \
		__uint(max_entries, rows); \
	} name SEC(".maps"); \
	__u64 name##___lost = 0; /* updates that did not find a row of their own */ \
	__u64 name##___touched = 0 /* 1: by ROW(), since the exporter looked */

/*
 * A table of gauges that an iterator counts together anew each time, by adding: it is emptied before
 * the iterator runs, and read after. Who is not met this time is not in it any more.
 */
#define REFILLED_TABLE(map_type, name, key_type, value_type, rows) \
	TABLE(map_type, name, key_type, value_type, rows); \
	const volatile __u8 name##___refilled = 1

/* The row of `key`, made when absent; NULL when the table has no room for it. */
#define ROW_OR_NULL(table, k) ({ \
	const typeof(*(table).key) *_k = (k); \
	typeof((table).value) _v = bpf_map_lookup_elem(&(table), _k); \
	if (!_v) { \
		static const typeof(*(table).value) _zero; \
		bpf_map_update_elem(&(table), _k, &_zero, BPF_NOEXIST); \
		_v = bpf_map_lookup_elem(&(table), _k); \
	} \
	_v; })

/* The row that the exporter reserves at load for what no other row can take. */
#define ROW_OF_ZEROS(table) ({ \
	static const typeof(*(table).key) _none; \
	ADD(table##___lost, 1); \
	(typeof((table).value))bpf_map_lookup_elem(&(table), &_none); })

/*
 * A hash is read only when its rows were asked for since it was read last: most tables lie still most
 * of the time. (That is, when all programs that use it say so; ROW() does.) The test before the
 * write keeps the line in all CPUs' caches.
 */
#define TOUCH(table) ({ \
	volatile __u64 *_touched = &table##___touched; \
	if (!*_touched) \
		*_touched = 1; })

/*
 * ROW(table, &key): the row's values. A full table gives its row of zeros, so that totals stay
 * right. Test for NULL all the same: the verifier wants it.
 */
#define ROW(table, k) ({ \
	TOUCH(table); \
	BUSY_ROW(table, k); })

/* The same for what happens all the time: such a table is read at each poll anyway. */
#define BUSY_ROW(table, k) ({ \
	typeof((table).value) _r = ROW_OR_NULL(table, k); \
	_r ? _r : ROW_OF_ZEROS(table); })

/*
 * The same for a key that begins with a struct who: a full table gives the group's row before that.
 * It is made along with the first row of any of its processes: in a full table it would find no room.
 */
#define WHO_ROW(table, k) ({ \
	TOUCH(table); \
	BUSY_WHO_ROW(table, k); })
#define BUSY_WHO_ROW(table, k) ({ \
	const typeof(*(table).key) *_w = (k); \
	typeof((table).value) _r = bpf_map_lookup_elem(&(table), _w); \
	if (!_r) { \
		typeof(*(table).key) _group = *_w; \
		struct who *_who = (void *)&_group; \
		typeof((table).value) _of_group; \
		_who->pid = 0; \
		__builtin_memset(_who->comm, 0, sizeof(_who->comm)); \
		_of_group = ROW_OR_NULL(table, &_group); \
		_r = ROW_OR_NULL(table, _w); \
		if (!_r) { \
			ADD(table##___lost, 1); \
			_r = _of_group; \
		} \
	} \
	_r ? _r : ROW_OF_ZEROS(table); })

/* Atomic without fetch: the only kind that 5.10 has. */
#define ADD(column, n) ((void)__sync_fetch_and_add(&(column), n))

#define OBSERVE_NS(histogram, ns) ({ \
	__u64 _ns = (ns); \
	ADD((histogram).slot[histogram_slot(_ns)], 1); \
	ADD((histogram).sum, _ns); })

/*
 * COLLECTOR(ON, MEDIUM): whether this object runs unless a flag says otherwise, and how often its hooks
 * fire on a busy node (RARE: some a minute, MEDIUM: up to 100,000/s, HOT: above). Without: ON, MEDIUM.
 */
enum { COLLECTOR_OFF, COLLECTOR_ON };
enum { RATE_RARE, RATE_MEDIUM, RATE_HOT };
#define COLLECTOR(state, rate) \
	const volatile __u8 collector_on = COLLECTOR_##state; \
	const volatile __u8 collector_rate = RATE_##rate

/*
 * ITERATORS_PERCENT(1): this object's iterators get at most 1 % of one core. The more there is to visit
 * the less often they run; until then the last values stay.
 */
#define ITERATORS_PERCENT(percent) const volatile __u8 iterators_percent = percent

/*
 * Programs that hang on functions cost nothing elsewhere, but not every kernel has or allows them
 * (arm64 from 6.4 on). So they come with others that do the same by other means, or --check tells that
 * the collector goes without:
 *	SEC("?fentry/X"), SEC("?fexit/X")	taken when this kernel has all these functions of the
 *						object, and a program attached to the first one on trial
 *	int name___no_fentry(...)		a program taken only when those are not
 *	int name___no_fentry_hot(...)		the same at a cost to all others (sys_enter): only where the
 *						collector is asked for by name
 *	const volatile bool functions_traced	whether they are taken, for the object's other programs
 * X is a function, or sys_x: the function of system call x, which has the architecture in its name.
 */

char LICENSE[] SEC("license") = "GPL";

#pragma clang diagnostic error "-Wpadded" /* a hole in a key would split its row */
#pragma clang diagnostic error "-Wincompatible-pointer-types" /* a key of another table */
