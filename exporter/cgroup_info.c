/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_path.h"
#include "label.h"

struct cgroup_info {
	struct families *families;
	struct family *family;
	struct container_names *names; /* borrowed; NULL: no files are asked */
	uint64_t version;	       /* groups_version() at the last update */
};

/* The value of a series that an update has met: the others have gone. */
#define MET 2

struct cgroup_info *cgroup_info_new(struct families *families, struct container_names *names)
{
	struct cgroup_info *info = calloc(1, sizeof(*info));

	if (!info)
		return NULL;
	info->families = families;
	info->names = names;
	info->family = families_add(
		families, "ebpf_cgroup_info",
		"Always 1; what is known of each container and unit: id is the cgroup's "
		"path (as cAdvisor's id), uid the pod's.",
		METRIC_GAUGE, 0, LEVEL_CGROUP);
	if (info->family)
		return info;
	free(info);
	return NULL;
}

void cgroup_info_free(struct cgroup_info *info)
{
	free(info);
}

static void add_text(struct buffer *out, const char *name, const char *value)
{
	label_add(out, name, value, strlen(value));
}

/* Whether a path ends where its owner does: what a unit or a container makes below itself is not
 * told. */
static bool is_owner_itself(const struct cgroup_path *at, const char *path)
{
	const char *last = strrchr(path, '/') + 1;

	switch (at->owner) {
	case OWNER_UNIT:
		return last == at->unit;
	case OWNER_POD:
	case OWNER_CONTAINER:
		return !at->monitor && (*at->container_id ? strstr(last, at->container_id) != NULL
							  : *at->name != 0);
	default:
		return false;
	}
}

/*
 * A task of containerd's own: its path says nothing, so it was named by its state (group_name),
 * which is that of the first two folders.
 */
static bool is_task(const struct cgroup_path *at, const char *path, const struct group *group)
{
	const char *second = strchr(path + 1, '/');

	return at->owner == OWNER_PATH && second && !strchr(second + 1, '/') &&
	       !strncmp(group->labels, "container=", strlen("container="));
}

static void tell(uint64_t id, const char *path, const struct group *group, void *arg)
{
	struct cgroup_info *info = arg;
	struct buffer labels = { 0 };
	struct cgroup_path at;
	char number[24];

	cgroup_path_parse(&at, path);
	if (is_task(&at, path, group))
		at.runtime = "containerd";
	else if (!is_owner_itself(&at, path))
		return;
	if (id & CGROUP_BLKIO)
		return; /* on v1 the same cgroup is met in two hierarchies */
	buffer_add(&labels, group->labels, group->labels_len);
	snprintf(number, sizeof(number), "%" PRIu64, id);
	add_text(&labels, "cgroup_id", number);
	add_text(&labels, "id", path);
	add_text(&labels, "uid", at.pod_uid);
	add_text(&labels, "container_id", at.container_id);
	if (!*at.runtime && at.owner == OWNER_POD && info->names)
		at.runtime = container_names_kubelets_runtime(info->names, &at);
	add_text(&labels, "runtime", at.runtime);
	add_text(&labels, "qos", at.qos);
	if (!labels.failed) {
		struct series *series = family_series(info->family, labels.data, labels.len);

		if (series) /* without memory it comes at the next change */
			series->value = MET;
	}
	buffer_free(&labels);
}

void cgroup_info_update(struct cgroup_info *info, struct groups *groups)
{
	if (info->version == groups_version(groups))
		return;
	info->version = groups_version(groups);
	groups_each_cgroup(groups, tell, info);
	for (size_t i = 0, n = info->family->nr_series; i < n; i++) {
		struct series *series = info->family->series[i];

		if (series->index == SERIES_REMOVED)
			continue;
		if (series->value == MET)
			series->value = 1;
		else
			family_remove(info->families, info->family, series);
	}
}
