/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * node_groups: the groups of this node, put together: the tree, the names of containers, the flags
 * that say what is shown, and the programs that tell of new cgroups.
 */
#pragma once

#include "attach.h"
#include "cgroup_events.h"
#include "cgroup_info.h"
#include "container_names.h"
#include "group_name.h"
#include "label_cgroup.h"
#include "options.h"
#include "series.h"

struct node_groups {
	struct groups *groups;
	struct cgroup_events *events; /* NULL where the kernel tells no names */
	/* the rest is its own */
	const struct collectors *collectors;
	struct container_names *names;
	struct group_naming naming;
	struct cgroup_info *info;
};

/* After the collectors were loaded. `options`, `mounts` and `collectors` are borrowed. Returns 0 or
 * -ENOMEM. */
int node_groups_open(struct node_groups *node, const struct options *options,
		     const struct cgroup_mounts *mounts, const struct collectors *collectors,
		     struct families *families);
/* After the fold was freed, whose rows and series are of these groups. */
void node_groups_close(struct node_groups *node);

/* After each poll: what is known of each container is up to date. */
void node_groups_update(struct node_groups *node);
