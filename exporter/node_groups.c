/* SPDX-License-Identifier: GPL-2.0-only */
#include "node_groups.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#include "log.h"

/* Keeps the programs' list of pods (bpf/who.bpf.h) up to date. */
static void tell_pods(uint64_t id, bool is_pod, bool added, void *arg)
{
	const struct node_groups *node = arg;
	int fd = collectors_shared_map(node->collectors, "shared_pod_cgroups");
	unsigned char yes = 1;

	if (fd < 0 || !is_pod)
		return;
	if (added)
		bpf_map_update_elem(fd, &id, &yes, 0);
	else
		bpf_map_delete_elem(fd, &id);
}

int node_groups_open(struct node_groups *node, const struct options *options,
		     const struct cgroup_mounts *mounts, const struct collectors *collectors,
		     struct families *families)
{
	int ring = collectors_shared_map(collectors, "shared_cgroups_changed");
	struct groups_news news = { .untold = collectors->cgroup_changes };

	node->collectors = collectors;
	node->names = container_names_new(options->rootfs);
	node->naming = (struct group_naming){ .names = node->names,
					      .include = options->cgroup_include,
					      .nr_include = options->nr_cgroup_include,
					      .exclude = options->cgroup_exclude,
					      .nr_exclude = options->nr_cgroup_exclude,
					      .drop = options->labels_drop };
	node->groups = groups_new(mounts, &node->naming, tell_pods, node);
	node->info = cgroup_info_new(families, node->names);
	if (!node->names || !node->groups || !node->info)
		return -ENOMEM;
	node->events = cgroup_events_open(ring, options->procfs, mounts, node->groups);
	if (!node->events && ring >= 0 && errno != ENOENT) /* of no procfs it was said already */
		log_warn("cannot follow the ring buffer of new cgroups: %s; those that come and go "
			 "between two polls have no name",
			 strerror(errno));
	if (node->events)
		news = (struct groups_news){ collectors->cgroup_untold, cgroup_events_take,
					     node->events };
	groups_follow(node->groups, &news);
	return 0;
}

void node_groups_close(struct node_groups *node)
{
	cgroup_events_close(node->events);
	cgroup_info_free(node->info);
	groups_free(node->groups);
	container_names_free(node->names);
}

void node_groups_update(struct node_groups *node)
{
	cgroup_info_update(node->info, node->groups);
}
