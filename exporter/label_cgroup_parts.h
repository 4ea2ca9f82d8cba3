/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * label_cgroup_parts: what label_cgroup.c (groups and their labels) and label_cgroup_tree.c
 * (cgroups: which there are, and the group of each) share.
 */
#pragma once

#include "label_cgroup.h"

#include "group_name.h"

struct cgroup {
	uint64_t id;
	struct group *group;
	uint64_t nameless_ns; /* since when it waits for its name; 0: it has it */
	uint32_t seen;	      /* the walk that met it last */
	bool is_pod;
	bool gone; /* removed while it waited for its name */
	struct cgroup *next;
	char path[];
};

struct groups {
	struct cgroup_mounts mounts;
	const struct group_naming *naming;
	groups_listener *listener;
	void *arg;
	bool have_heirs;  /* see groups_take_heirs() */
	uint64_t version; /* see groups_version() */
	uint64_t resolutions[NR_RESOLUTIONS];
	struct group *by_labels[1024];
	struct group *removed, *unknown, *overflow;
	uint64_t now_ns; /* of this poll, or walk */

	/* the cgroups, label_cgroup_tree.c's alone */
	struct cgroup **cgroups; /* by id */
	size_t nr_cgroups, size;
	size_t nameless; /* that wait for their names */
	struct groups_news news;
	uint64_t *
		leaving; /* those that were told to be gone: they leave when the next poll begins */
	size_t nr_leaving, room_leaving;
	uint32_t walk;		/* number of the last one */
	uint64_t walked_ns;	/* when it began; 0: there was none */
	uint64_t walked_untold; /* how many changes there were then, see struct groups_news */
	int walks_left;		/* of this poll, for ids that are not known */
	int failed;		/* errno of the last walk, so that it is logged once */
	uint64_t kinds[2];	/* of the trees' file systems, see cgroup_tree_walk() */
};

/* Who a cgroup at `path` is: its group, or NULL with errno EAGAIN when that is not known yet
 * (`last`: it has waited long enough), or ENOMEM. */
struct group *group_of_path(struct groups *groups, const char *path, bool last);
/* The group of a cgroup that waits for its name: nobody sees its labels. NULL: no memory. */
struct group *group_nameless(struct groups *groups, uint64_t id);
/* One live cgroup more or less. Without any, and without users, the group leaves. */
void group_join(struct groups *groups, struct group *group);
void group_leave(struct groups *groups, struct group *group);
/* What `group` counted becomes `heir`'s at the next fold_tick(). */
void group_bequeath(struct groups *groups, struct group *group, struct group *heir);
