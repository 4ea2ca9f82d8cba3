/* SPDX-License-Identifier: GPL-2.0-only */
#include "label_cgroup_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

static struct group **chain_of(struct groups *groups, const char *labels, size_t len)
{
	return &groups->by_labels[hash_bytes(labels, len) % 1024];
}

static struct group *group_new(struct groups *groups, const char *labels, size_t len,
			       const char *uid)
{
	struct group **slot = chain_of(groups, labels, len), *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->labels = strndup(labels, len);
	if (!group->labels) {
		free(group);
		return NULL;
	}
	group->labels_len = len;
	strcpy(group->uid, uid);
	group->next = *slot;
	*slot = group;
	return group;
}

static struct group *group_of_labels(struct groups *groups, const char *labels, size_t len)
{
	struct group *group;

	for (group = *chain_of(groups, labels, len); group; group = group->next)
		if (group->labels_len == len && !group->heir && !memcmp(group->labels, labels, len))
			return group;
	return group_new(groups, labels, len, "");
}

void group_bequeath(struct groups *groups, struct group *group, struct group *heir)
{
	group->heir = heir;
	group_get(heir);
	groups->have_heirs = true;
}

static struct group *leaving_group(struct groups *groups, const struct buffer *labels)
{
	struct group *group;

	for (group = *chain_of(groups, labels->data, labels->len); group; group = group->next)
		if (group->heir && group->labels_len == labels->len &&
		    !memcmp(group->labels, labels->data, labels->len))
			return group;
	return NULL;
}

/*
 * The group of a name. A pod of that name and another uid has to leave first, and its counts go to
 * (removed): until then NULL with errno EAGAIN. Where it does not leave (`last`) both are one
 * group.
 */
static struct group *group_of_name(struct groups *groups, const struct group_name *name, bool last)
{
	struct group *group;

	errno = EAGAIN;
	if (leaving_group(groups, &name->labels))
		return NULL;
	group = group_of_labels(groups, name->labels.data, name->labels.len);
	if (!group) {
		errno = ENOMEM;
		return NULL;
	}
	if (!*name->uid || !strcmp(group->uid, name->uid))
		return group;
	if (*group->uid && group->live && !last) {
		errno = EAGAIN;
		return NULL;
	}
	if (*group->uid && !group->live && group->users) {
		group_bequeath(groups, group, groups->removed);
		errno = EAGAIN;
		return NULL;
	}
	strcpy(group->uid, name->uid);
	return group;
}

struct group *group_of_path(struct groups *groups, const char *path, bool last)
{
	static const struct group_naming by_path;
	struct group *group = NULL;
	struct group_name name;
	int err = EAGAIN;

	if (group_name(&name, groups->naming ? groups->naming : &by_path, path, last)) {
		if (!name.labels.failed)
			group = group_of_name(groups, &name, last);
		err = name.labels.failed ? ENOMEM : errno;
		groups->resolutions[name.resolution] += group != NULL;
	}
	buffer_free(&name.labels);
	errno = err;
	return group;
}

struct group *group_nameless(struct groups *groups, uint64_t id)
{
	char labels[64];
	struct group *group;

	snprintf(labels, sizeof(labels), "cgroup=\"(nameless %llu)\"", (unsigned long long)id);
	group = group_of_labels(groups, labels, strlen(labels));
	if (group)
		group->hidden = true;
	return group;
}

static void forget_if_unused(struct groups *groups, struct group *group);

void group_join(struct groups *groups, struct group *group)
{
	group->live++;
	group->gone_ns = 0;
	groups->version++;
}

void group_leave(struct groups *groups, struct group *group)
{
	groups->version++;
	if (!--group->live)
		group->gone_ns = groups->now_ns ? groups->now_ns : 1;
	forget_if_unused(groups, group);
}

static void forget_if_unused(struct groups *groups, struct group *group)
{
	struct group **at = chain_of(groups, group->labels, group->labels_len), *heir = group->heir;

	if (group->users || group->live || !group->gone_ns)
		return; /* gone_ns: the groups in brackets never come nor go */
	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	free(group->labels);
	free(group);
	group_put(groups, heir);
}

void group_get(struct group *group)
{
	if (group)
		group->users++;
}

void group_put(struct groups *groups, struct group *group)
{
	if (group && !--group->users)
		forget_if_unused(groups, group);
}

bool groups_take_heirs(struct groups *groups)
{
	bool had = groups->have_heirs;

	groups->have_heirs = false;
	return had;
}

struct group *groups_removed(struct groups *groups)
{
	return groups->removed;
}

void groups_each_live(struct groups *groups, void (*each)(struct group *group, void *arg),
		      void *arg)
{
	for (size_t i = 0; i < sizeof(groups->by_labels) / sizeof(*groups->by_labels); i++)
		for (struct group *group = groups->by_labels[i]; group; group = group->next)
			if (group->live)
				each(group, arg);
}

const uint64_t *groups_resolutions(const struct groups *groups)
{
	return groups->resolutions;
}

uint64_t groups_version(const struct groups *groups)
{
	return groups->version;
}

struct groups *groups_new(const struct cgroup_mounts *mounts, const struct group_naming *naming,
			  groups_listener *listener, void *arg)
{
	static const char removed[] = "cgroup=\"(removed)\"", unknown[] = "cgroup=\"(unknown)\"",
			  overflow[] = "cgroup=\"(overflow)\"";
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->mounts = *mounts;
	groups->naming = naming;
	groups->listener = listener;
	groups->arg = arg;
	groups->size = 256;
	groups->walks_left = 1;
	groups->cgroups = calloc(groups->size, sizeof(*groups->cgroups));
	groups->removed = group_of_labels(groups, removed, sizeof(removed) - 1);
	groups->unknown = group_of_labels(groups, unknown, sizeof(unknown) - 1);
	groups->overflow = group_of_labels(groups, overflow, sizeof(overflow) - 1);
	if (groups->cgroups && groups->removed && groups->unknown && groups->overflow)
		return groups;
	groups_free(groups);
	errno = ENOMEM;
	return NULL;
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; groups->cgroups && i < groups->size; i++)
		for (struct cgroup *cgroup = groups->cgroups[i], *next; cgroup; cgroup = next) {
			next = cgroup->next;
			free(cgroup);
		}
	for (size_t i = 0; i < sizeof(groups->by_labels) / sizeof(*groups->by_labels); i++)
		for (struct group *group = groups->by_labels[i], *next; group; group = next) {
			next = group->next;
			free(group->labels);
			free(group);
		}
	free(groups->cgroups);
	free(groups->leaving);
	free(groups);
}
