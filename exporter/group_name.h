/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * group_name: from a cgroup's path to the labels that its users know it by. The one place that
 *names a group: path and names (cgroup_path.h, container_names.h) say who it is, the flags which
 *labels it gets.
 *
 *	namespace, pod, container	a pod's container; without `container` its sandbox and the
 *pod's own container			a container of another runtime
 *	unit				a unit of systemd; with `container` for a user's own
 *container cgroup				anything else: the path
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "container_names.h"
#include "render.h"

/* --labels.drop, by bit */
enum group_label {
	GROUP_LABEL_CGROUP,
	GROUP_LABEL_UNIT,
	GROUP_LABEL_NAMESPACE,
	GROUP_LABEL_POD,
	GROUP_LABEL_CONTAINER,
	NR_GROUP_LABELS,
};
extern const char *const group_label_names[NR_GROUP_LABELS + 1]; /* ended by NULL */

/* How a group got its name, for bpf_exporter_cgroup_resolutions_total. */
enum resolution {
	RESOLVED_POD,
	RESOLVED_CONTAINER,
	RESOLVED_UNIT,
	RESOLVED_PATH,
	RESOLVED_OTHER, /* --cgroup.include and --cgroup.exclude leave it out */
	UNRESOLVED,	/* a pod or a container whose name nobody told in time: by its uid or id */
	NR_RESOLUTIONS,
};
extern const char *const resolution_names[NR_RESOLUTIONS];

/* How groups are named; all of it is borrowed. */
struct group_naming {
	struct container_names *names;		     /* NULL: no files are asked */
	const char *const *include, *const *exclude; /* globs on path, unit or namespace */
	size_t nr_include, nr_exclude;
	unsigned int drop; /* bits by enum group_label */
};

struct group_name {
	struct buffer labels; /* escaped, never empty */
	char uid[37];	      /* of the pod, "" for others: one of the same name is another */
	enum resolution resolution;
};

/*
 * Names the group of a path; `out` is to be freed with buffer_free(&out->labels), also on failure
 * (labels.failed). False when a name is missing that may come within seconds; `last` makes do.
 */
bool group_name(struct group_name *out, const struct group_naming *naming, const char *path,
		bool last);
