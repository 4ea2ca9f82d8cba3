/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/cgroups.bpf.c: tells the exporter that the cgroup tree changed, so that it walks it only then,
 * and what each new cgroup is called, as it may be gone before any walk.
 */
#include "metrics.bpf.h"
#include "compat.bpf.h"

__u64 cgroup_changes = 0;
__u64 cgroup_names_lost = 0; /* the ring buffer was full */

/* One record: exporter/cgroup_events.c has the same; the path ends where the record does, with a NUL. */
struct cgroup_made {
	__u64 id;
	__u32 hierarchy; /* as in /proc/cgroups; 0: v2's */
	char path[1012];
};

/* No stack has room for it. mkdir holds cgroup_mutex, so there is one at a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct cgroup_made);
	__uint(max_entries, 1);
} cgroup_record SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10); /* some 1,500 cgroups between two polls */
} shared_cgroups_made SEC(".maps");

/*
 * The path is text behind a pointer: plain dereference reads no text, and bpf_probe_read is refused
 * under lockdown=confidentiality. bpf_snprintf (5.13, 7b15523a989b) is not.
 */
static __always_inline void tell_name(struct cgroup *cgroup, __u64 path)
{
	static const char format[] = "%s";
	__u32 zero = 0;
	struct cgroup_made *made = bpf_map_lookup_elem(&cgroup_record, &zero);
	long len;

	if (!made || !have_snprintf())
		return;
	made->id = cgroup->kn->id;
	made->hierarchy = cgroup->root->hierarchy_id;
	len = bpf_snprintf(made->path, sizeof(made->path), format, &path, sizeof(path));
	if (len <= 0 || len > (long)sizeof(made->path))
		return; /* longer than any runtime's: it has its name from a walk, or none */
	if (bpf_ringbuf_output(&shared_cgroups_made, made, __builtin_offsetof(struct cgroup_made, path) + len, 0))
		ADD(cgroup_names_lost, 1);
}

SEC("tp_btf/cgroup_mkdir")
int cgroup_made(__u64 *ctx)
{
	ADD(cgroup_changes, 1);
	tell_name((struct cgroup *)ctx[0], ctx[1]);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int cgroup_removed(void *ctx)
{
	ADD(cgroup_changes, 1);
	return 0;
}

SEC("tp_btf/cgroup_rename")
int cgroup_renamed(void *ctx)
{
	ADD(cgroup_changes, 1);
	return 0;
}
