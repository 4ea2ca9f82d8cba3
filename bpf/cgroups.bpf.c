/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/cgroups.bpf.c: tells the exporter of each cgroup that is made or removed, and what it is called: it may
 * be gone before the exporter could look for it, and to look through the trees takes long.
 */
#include "metrics.bpf.h"
#include "compat.bpf.h"

__u64 cgroup_changes = 0;
__u64 cgroup_untold = 0; /* of these, that the ring buffer does not tell: the trees must be walked */

/* One record: exporter/cgroup_events.c has the same; the path ends where the record does, with a NUL. */
struct cgroup_change {
	__u64 id;
	__u32 hierarchy; /* as in /proc/cgroups; 0: v2's */
	char path[1012]; /* empty: it was removed */
};

/* No stack has room for it. Who makes or removes one holds cgroup_mutex, so there is one at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct cgroup_change);
	__uint(max_entries, 1);
} cgroup_record SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10); /* some 1,500 cgroups between two polls */
} shared_cgroups_changed SEC(".maps");

static __always_inline void untold(void)
{
	ADD(cgroup_untold, 1);
}

static __always_inline struct cgroup_change *change_of(const struct cgroup *cgroup)
{
	__u32 zero = 0;
	struct cgroup_change *change = bpf_map_lookup_elem(&cgroup_record, &zero);

	if (change) {
		change->id = cgroup->kn->id;
		change->hierarchy = cgroup->root->hierarchy_id;
	}
	return change;
}

/* `len`: of the path, with its NUL; a negative one is too long as well. */
static __always_inline void tell(struct cgroup_change *change, long len)
{
	__u64 size = __builtin_offsetof(struct cgroup_change, path) + len;

	barrier_var(size); /* what is compared is what is used: or 6.1's verifier thinks it negative */
	if (size > sizeof(*change) || bpf_ringbuf_output(&shared_cgroups_changed, change, size, 0))
		untold(); /* longer than any runtime's, or the buffer is full */
}

/*
 * The path is text behind a pointer: plain dereference reads no text, and bpf_probe_read is refused
 * under lockdown=confidentiality. bpf_snprintf (5.13, 7b15523a989b) is not.
 */
SEC("tp_btf/cgroup_mkdir")
int cgroup_made(__u64 *ctx)
{
	static const char format[] = "%s";
	struct cgroup_change *change;
	__u64 path = ctx[1];

	ADD(cgroup_changes, 1);
	if (!have_snprintf() || !(change = change_of((struct cgroup *)ctx[0]))) {
		untold();
		return 0;
	}
	tell(change, bpf_snprintf(change->path, sizeof(change->path), format, &path, sizeof(path)));
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int cgroup_removed(__u64 *ctx)
{
	struct cgroup_change *change = change_of((struct cgroup *)ctx[0]);

	ADD(cgroup_changes, 1);
	if (change) {
		change->path[0] = 0;
		tell(change, 1);
	} else {
		untold();
	}
	return 0;
}

/* On v1 alone; what is below has another path then, too. */
SEC("tp_btf/cgroup_rename")
int cgroup_renamed(void *ctx)
{
	ADD(cgroup_changes, 1);
	untold();
	return 0;
}
