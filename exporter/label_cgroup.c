/* SPDX-License-Identifier: GPL-2.0-only */
#include "label_cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_tree.h"
#include "hash.h"
#include "label.h"
#include "log.h"

struct cgroup {
	uint64_t id;
	struct group *group;
	uint32_t seen; /* the walk that met it last */
	bool is_pod;
	struct cgroup *next;
};

struct groups {
	struct cgroup_mounts mounts;
	groups_listener *listener;
	void *arg;
	struct cgroup **cgroups; /* by id */
	size_t nr_cgroups, size;
	struct group *by_labels[1024];
	struct group *removed, *unknown, *overflow;
	uint32_t walk;
	bool looked;		 /* an id was missed and looked for in this poll */
	const uint64_t *changes; /* see groups_follow() */
	uint64_t walked_changes; /* how many there were when the last walk began */
	uint64_t now_ns;	 /* of this walk */
	int failed;		 /* errno of the last walk, so that it is logged once */
	uint64_t kinds[2];	 /* of the trees' file systems, see cgroup_tree_walk() */
};

/* ---- the tables ---- */

static struct group *group_of_labels(struct groups *groups, const char *labels, size_t len)
{
	struct group **slot = &groups->by_labels[hash_bytes(labels, len) % 1024], *group;

	for (group = *slot; group; group = group->next)
		if (group->labels_len == len && !memcmp(group->labels, labels, len))
			return group;
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->labels = strndup(labels, len);
	if (!group->labels) {
		free(group);
		return NULL;
	}
	group->labels_len = len;
	group->next = *slot;
	*slot = group;
	return group;
}

static struct group *group_of_path(struct groups *groups, const char *path)
{
	struct buffer labels = { 0 };
	struct group *group = NULL;

	group_labels_of_path(&labels, path);
	if (!labels.failed)
		group = group_of_labels(groups, labels.data, labels.len);
	buffer_free(&labels);
	return group;
}

static struct cgroup **find(struct groups *groups, uint64_t id)
{
	struct cgroup **at = &groups->cgroups[hash_mix(id, 0) & (groups->size - 1)];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static int rehash(struct groups *groups)
{
	size_t old_size = groups->size;
	struct cgroup **old = groups->cgroups, **new = calloc(old_size * 2, sizeof(*new));

	if (!new)
		return -ENOMEM;
	groups->cgroups = new;
	groups->size = old_size * 2;
	for (size_t i = 0; i < old_size; i++)
		for (struct cgroup *cgroup = old[i], *next; cgroup; cgroup = next) {
			struct cgroup **at = &new[hash_mix(cgroup->id, 0) & (groups->size - 1)];

			next = cgroup->next;
			cgroup->next = *at;
			*at = cgroup;
		}
	free(old);
	return 0;
}

static int add(struct groups *groups, uint64_t id, const char *path)
{
	struct cgroup *cgroup = calloc(1, sizeof(*cgroup)), **at;
	struct group *group = group_of_path(groups, path);

	if (!cgroup || !group || (groups->nr_cgroups >= groups->size && rehash(groups))) {
		free(cgroup);
		return -ENOMEM;
	}
	cgroup->id = id;
	cgroup->group = group;
	cgroup->seen = groups->walk;
	cgroup->is_pod = path_is_pod(path);
	at = find(groups, id);
	*at = cgroup;
	groups->nr_cgroups++;
	group->live++;
	group->gone_ns = 0;
	if (groups->listener)
		groups->listener(id, cgroup->is_pod, true, groups->arg);
	return 0;
}

static void forget_if_unused(struct groups *groups, struct group *group);

static void leave_group(struct groups *groups, struct group *group)
{
	if (!--group->live)
		group->gone_ns = groups->now_ns;
	forget_if_unused(groups, group);
}

/* One that the walk met before. On v1 it may have another name by now. */
static int meet_again(struct groups *groups, struct cgroup *cgroup, const char *path)
{
	struct group *group = group_of_path(groups, path);
	bool is_pod = path_is_pod(path);

	if (!group)
		return -ENOMEM;
	cgroup->seen = groups->walk;
	if (group != cgroup->group) {
		group->live++;
		group->gone_ns = 0;
		leave_group(groups, cgroup->group);
		cgroup->group = group;
	}
	if (is_pod != cgroup->is_pod && groups->listener) {
		groups->listener(cgroup->id, cgroup->is_pod, false, groups->arg);
		groups->listener(cgroup->id, is_pod, true, groups->arg);
	}
	cgroup->is_pod = is_pod;
	return 0;
}

static void drop_unseen(struct groups *groups)
{
	for (size_t i = 0; i < groups->size; i++)
		for (struct cgroup **at = &groups->cgroups[i], *cgroup; (cgroup = *at);) {
			if (cgroup->seen == groups->walk) {
				at = &cgroup->next;
				continue;
			}
			*at = cgroup->next;
			groups->nr_cgroups--;
			leave_group(groups, cgroup->group);
			if (groups->listener)
				groups->listener(cgroup->id, cgroup->is_pod, false, groups->arg);
			free(cgroup);
		}
}

/* ---- the trees ---- */

struct visit {
	struct groups *groups;
	uint64_t flag; /* CGROUP_BLKIO or 0 */
};

static int meet(uint64_t id, const char *path, void *arg)
{
	const struct visit *visit = arg;
	struct cgroup *known = *find(visit->groups, id | visit->flag);

	return known ? meet_again(visit->groups, known, path)
		     : add(visit->groups, id | visit->flag, path);
}

static int walk_root(struct groups *groups, const char *root, uint64_t flag)
{
	struct visit visit = { groups, flag };

	return cgroup_tree_walk(root, &groups->kinds[!!flag], meet, &visit);
}

static uint64_t changes_now(const struct groups *groups)
{
	return groups->changes ? __atomic_load_n(groups->changes, __ATOMIC_RELAXED) : 0;
}

void groups_follow(struct groups *groups, const uint64_t *changes)
{
	groups->changes = changes;
}

int groups_walk(struct groups *groups, uint64_t now_ns)
{
	int err;

	if (!groups->mounts.main[0]) {
		groups->failed = ENOENT; /* cgroup_mounts_find() said it */
		return -ENOENT;
	}
	groups->walk++;
	groups->now_ns = now_ns;
	groups->walked_changes = changes_now(groups);
	err = walk_root(groups, groups->mounts.main, 0);
	if (!err && groups->mounts.blkio[0])
		err = walk_root(groups, groups->mounts.blkio, CGROUP_BLKIO);
	if (err) {
		if (groups->failed != -err)
			log_warn("cannot read the cgroup tree at \"%s\": %s; counts go on, known "
				 "groups stay, new ones are called (unknown)",
				 groups->mounts.main,
				 err == -ESTALE ? "it is not mounted there any more"
						: strerror(-err));
		groups->failed = -err;
		return err;
	}
	if (groups->failed)
		log_info("the cgroup tree can be read again");
	groups->failed = 0;
	drop_unseen(groups);
	return groups->nr_cgroups;
}

/*
 * An id that the last walk did not meet: a cgroup made since, or one that is gone, whose id may
 * come back many times. So one more walk if the tree changed since, or, where nobody counts the
 * changes, one a poll. (File handles would tell as well, but ask for CAP_DAC_READ_SEARCH, with
 * which the exporter could read every file of the node.)
 */
static struct cgroup *look_up(struct groups *groups, uint64_t id)
{
	bool again =
		groups->changes ? changes_now(groups) != groups->walked_changes : !groups->looked;

	if (again && groups_walk(groups, groups->now_ns) >= 0)
		groups->looked = true;
	return *find(groups, id);
}

void groups_new_poll(struct groups *groups, uint64_t now_ns)
{
	groups->looked = false;
	groups->now_ns = now_ns;
}

bool groups_failed(const struct groups *groups)
{
	return groups->failed && groups->mounts.main[0];
}

/* ---- the rest ---- */

struct groups *groups_new(const struct cgroup_mounts *mounts, groups_listener *listener, void *arg)
{
	static const char removed[] = "cgroup=\"(removed)\"", unknown[] = "cgroup=\"(unknown)\"",
			  overflow[] = "cgroup=\"(overflow)\"";
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->mounts = *mounts;
	groups->listener = listener;
	groups->arg = arg;
	groups->size = 256;
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
	free(groups);
}

struct group *groups_find(struct groups *groups, uint64_t id)
{
	struct cgroup *cgroup;

	if (!id)
		return groups->overflow;
	cgroup = *find(groups, id);
	if (!cgroup && !groups->failed)
		cgroup = look_up(groups, id);
	if (cgroup)
		return cgroup->group;
	return groups->failed ? groups->unknown : groups->removed;
}

bool groups_exists(struct groups *groups, uint64_t id)
{
	return *find(groups, id);
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

static void forget_if_unused(struct groups *groups, struct group *group)
{
	struct group **at = &groups->by_labels[hash_bytes(group->labels, group->labels_len) % 1024];

	if (group->users || group->live || !group->gone_ns)
		return; /* gone_ns: the groups in brackets never come nor go */
	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	free(group->labels);
	free(group);
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

size_t groups_count(const struct groups *groups)
{
	return groups->nr_cgroups;
}
