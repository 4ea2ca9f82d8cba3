/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Declarations that only --list can see are bad: tests/unit.mk builds bad_X.bpf.o of each `#ifdef X`,
 * tests/unit/schema_test.c says what each of them is told.
 */
#include "who.bpf.h"

#pragma clang diagnostic ignored "-Wpadded" /* as in an object made without metrics.bpf.h */

struct v {
	COUNTER(x, "X.");
};
struct k {
	__u64 a;
};

#ifdef no_help
struct w {
	COUNTER(x, "X.");
	counter_t y;
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef no_help_by
struct kind {
	counter_t a, b;
};
struct w {
	struct kind y;
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef float_label
struct l {
	float load;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef pointer_label
struct l {
	void *pointer;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef wide_label
struct l {
	__int128 wide;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef bit_field
struct l {
	__u32 a : 3;
	__u32 b : 29;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef hole
struct l {
	__u32 b;
	__u64 c;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef hole_at_end
struct l {
	__u64 b;
	__u32 c;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef hole_in_group
struct l {
	struct who who;
	struct {
		__u64 b;
		__u32 c;
	} group;
	__u64 d;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef integer_key
TABLE(HASH, t, __u32, struct v, 8);
#endif

#ifdef unnamed_enum
typedef enum { ONE, TWO } numbers_t;
TABLE(HASH, t, numbers_t, struct v, 8);
#endif

#ifdef lru
#define BPF_MAP_TYPE_LRU_PERCPU_HASH 10
TABLE(LRU_PERCPU_HASH, t, struct k, struct v, 8);
#endif

#ifdef queue
#define BPF_MAP_TYPE_QUEUE 22
TABLE(QUEUE, t, struct k, struct v, 8);
#endif

#ifdef histogram_of_bytes
struct w {
	HISTOGRAM(size, "Sizes.");
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef histogram_in_us
struct w {
	HISTOGRAM(took_us, "Times.");
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef histogram_size
typedef struct {
	__u64 slot[20], sum;
} histogram;
struct w {
	METRIC(histogram, took_ns, "Times.");
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef metric_at_4
struct w {
	__u32 mine;
	COUNTER(x, "X.");
	__u32 others;
} __attribute__((packed));
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef value_of_12
struct w {
	COUNTER(x, "X.");
	__u32 mine;
} __attribute__((packed));
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef who_second
struct l {
	__u64 a;
	struct who who;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef other_structure
struct l {
	struct who who;
	struct k other;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef group_without_who
struct l {
	__u64 b;
	struct k group;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef metric_type
struct w {
	METRIC(__u32, x, "X.");
	__u32 mine;
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef label_size
struct l {
	struct in6_addr {
		__u64 half;
	} address;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef two_of_a_name
struct l {
	struct who who;
	__u32 pid;
	__u32 _pad;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef label_of_group
struct l {
	cgroup_id_t cgroup;
	__u64 pod;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef two_cgroups
struct l {
	cgroup_id_t from;
	cgroup_id_t to;
};
TABLE(HASH, t, struct l, struct v, 8);
#endif

#ifdef by_is_label
struct kind {
	counter_t a, b;
};
struct l {
	__u64 kind;
};
struct w {
	COUNTER_BY(kind, y, "Y.");
};
TABLE(HASH, t, struct l, struct w, 8);
#endif

#ifdef rare_with_label
struct w {
	RARE_COUNTER(y, "Y.");
};
TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef label_le
struct l {
	__u64 le;
};
struct w {
	HISTOGRAM(y_ns, "Y.");
};
TABLE(HASH, t, struct l, struct w, 8);
#endif

#ifdef refilled_counter
struct w {
	COUNTER(y, "Y.");
};
REFILLED_TABLE(HASH, t, struct k, struct w, 8);
#endif

#ifdef refilled_percpu
struct w {
	GAUGE(y, "Y.");
};
REFILLED_TABLE(PERCPU_HASH, t, struct k, struct w, 8);
#endif
