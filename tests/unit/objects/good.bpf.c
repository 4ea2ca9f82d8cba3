/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What a declaration may look like; tests/unit/schema_test.c says what comes out. Never loaded. */
#include "who.bpf.h"

#define BPF_MAP_TYPE_LRU_HASH 9

/* every label type */
struct in6_addr {
	__u8 bytes[16];
};
typedef signed char small_t;
enum color { COLOR_NONE, COLOR_RED = 5, COLOR_BAD = -1, BLUE = 7 };
typedef __u16 port_alias_t;
typedef const cgroup_id_t wrapped_t; /* a meaning survives typedefs and qualifiers around it */
struct all_key {
	wrapped_t cgroup;
	comm_t comm;
	struct in6_addr peer6;
	__be32 peer4;
	pid_t pid;
	dev_t device;
	ifindex_t interface;
	errno_t errno;
	signal_t signal;
	enum color color;
	char text[12];
	__s64 large;
	__be16 port;
	port_alias_t small;
	small_t tiny;
	bool flag;
	__u16 _pad;
};
struct all {
	COUNTER(hits, "Hits.");
};
TABLE(PERCPU_HASH, all, struct all_key, struct all, 64);

/* who, a structure of the group's own labels, and labels of both levels */
struct both_key {
	struct who who;
	struct {
		enum color color;
		__u32 _pad;
	} group;
	errno_t errno;
	__u32 _shard;
};
struct kind___of_both {
	counter_t good, bad;
};
struct both {
	COUNTER(bytes, "Bytes.");
	COUNTER(wait_ns, "Wait, with a \"quote\" and a \\ in its help.");
	COUNTER(falls, "Falls.");
	__u64 private_state;
	COUNTER_BY(kind___of_both, tries___again, "Tries.");
	GAUGE(level_us, "Level.");
	HISTOGRAM(took_ns, "Time taken.");
};
TABLE(HASH, both___flavour, struct both_key, struct both, 64);

/* rare events: no label but who it was */
struct rare {
	RARE_COUNTER(slips, "Slips.");
};
TABLE(HASH, rare, struct who, struct rare, 64);

/* the process level alone; its table's name is all flavour */
struct lone {
	COUNTER(runs_ms, "Runs.");
};
TABLE(HASH, ___lone, process_t, struct lone, 64);

/* arrays: by an enum, and one row without labels */
struct paint {
	COUNTER(drops, "Drops.");
};
TABLE(PERCPU_ARRAY, node_paint, enum color, struct paint, 8);
TABLE(ARRAY, node, __u32, struct paint, 1);
TABLE(HASH, device_paint, enum color, struct paint, 8);
TABLE(HASH, netns_paint, enum color, struct paint, 8);
TABLE(HASH, nodeless, enum color, struct paint, 8);

/* a bare cgroup id; the type of the value is found behind a typedef */
typedef struct paint paint_t;
TABLE(HASH, cgroup___bare, cgroup_id_t, paint_t, 8);

/* scratch space: no metric, no struct, a name that all objects share */
struct state {
	__u64 since_ns;
};
TABLE(LRU_HASH, scratch, __u64, struct state, 8);
TABLE(HASH, numbers, __u64, __u64, 8);
TABLE(HASH, shared_paint, enum color, struct paint, 8);
