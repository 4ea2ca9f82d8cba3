/* SPDX-License-Identifier: GPL-2.0-only */
#include "label_cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_path.h"
#include "cgroup_tree.h"
#include "group_name.h"
#include "hash.h"
#include "log.h"

#define PATIENCE_NS                                                                                \
	(30 * 1000000000ULL) /* how long a name may take to come: log links are late               \
			      */

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
	size_t nameless;  /* cgroups that wait for their names */
	bool have_heirs;  /* see groups_take_heirs() */
	uint64_t version; /* see groups_version() */
	uint64_t resolutions[NR_RESOLUTIONS];
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

static void bequeath(struct groups *groups, struct group *group, struct group *heir)
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
		bequeath(groups, group, groups->removed);
		errno = EAGAIN;
		return NULL;
	}
	strcpy(group->uid, name->uid);
	return group;
}

/* Who it is: its group, or NULL with errno EAGAIN when that is not known yet, or ENOMEM. */
static struct group *group_of_path(struct groups *groups, const char *path, bool last)
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

/* For a cgroup that waits for its name: nobody sees its labels. */
static struct group *nameless_group(struct groups *groups, uint64_t id)
{
	char labels[64];
	struct group *group;

	snprintf(labels, sizeof(labels), "cgroup=\"(nameless %llu)\"", (unsigned long long)id);
	group = group_of_labels(groups, labels, strlen(labels));
	if (group)
		group->hidden = true;
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

static void join_group(struct groups *groups, struct cgroup *cgroup, struct group *group)
{
	cgroup->group = group;
	group->live++;
	group->gone_ns = 0;
	groups->version++;
}

static int add(struct groups *groups, uint64_t id, const char *path)
{
	struct group *group = group_of_path(groups, path, false);
	bool nameless = !group && errno == EAGAIN;
	struct cgroup *cgroup, **at;

	if (nameless)
		group = nameless_group(groups, id);
	cgroup = malloc(sizeof(*cgroup) + strlen(path) + 1);
	if (!cgroup || !group || (groups->nr_cgroups >= groups->size && rehash(groups))) {
		free(cgroup);
		return -ENOMEM;
	}
	*cgroup = (struct cgroup){ .id = id,
				   .seen = groups->walk,
				   .is_pod = cgroup_path_is_pod(path) };
	strcpy(cgroup->path, path);
	if (nameless) {
		cgroup->nameless_ns = groups->now_ns;
		groups->nameless++;
	}
	join_group(groups, cgroup, group);
	at = find(groups, id);
	*at = cgroup;
	groups->nr_cgroups++;
	if (groups->listener)
		groups->listener(id, cgroup->is_pod, true, groups->arg);
	return 0;
}

static void forget_if_unused(struct groups *groups, struct group *group);

static void leave_group(struct groups *groups, struct group *group)
{
	if (!--group->live)
		group->gone_ns = groups->now_ns ? groups->now_ns : 1;
	forget_if_unused(groups, group);
}

static void remove_cgroup(struct groups *groups, struct cgroup **at)
{
	struct cgroup *cgroup = *at;

	*at = cgroup->next;
	groups->version++;
	groups->nr_cgroups--;
	groups->nameless -= cgroup->nameless_ns != 0;
	leave_group(groups, cgroup->group);
	if (!cgroup->gone && groups->listener)
		groups->listener(cgroup->id, cgroup->is_pod, false, groups->arg);
	free(cgroup);
}

/* One that the walk met before. On v1 it may have another name by now, and is another one then. */
static int meet_again(struct groups *groups, struct cgroup **at, const char *path)
{
	struct cgroup *cgroup = *at;
	uint64_t id = cgroup->id;

	if (!strcmp(cgroup->path, path) && !cgroup->gone) {
		cgroup->seen = groups->walk;
		return 0;
	}
	remove_cgroup(groups, at);
	return add(groups, id, path);
}

/* Takes out what the walk did not meet; who waits for a name may still get it, for what it counted.
 */
static void drop_unseen(struct groups *groups)
{
	for (size_t i = 0; i < groups->size; i++)
		for (struct cgroup **at = &groups->cgroups[i], *cgroup; (cgroup = *at);) {
			if (cgroup->seen == groups->walk || cgroup->gone) {
				at = &cgroup->next;
			} else if (cgroup->nameless_ns) {
				cgroup->gone = true;
				if (groups->listener)
					groups->listener(cgroup->id, cgroup->is_pod, false,
							 groups->arg);
				at = &cgroup->next;
			} else {
				remove_cgroup(groups, at);
			}
		}
}

/* ---- names that come late ---- */

/* Tries once more to name a cgroup; it makes do without after a while. */
static void name_late(struct groups *groups, struct cgroup *cgroup)
{
	bool last = groups->now_ns - cgroup->nameless_ns >= PATIENCE_NS;
	struct group *group = group_of_path(groups, cgroup->path, last), *nameless = cgroup->group;

	if (!group)
		return;
	cgroup->nameless_ns = 0;
	groups->nameless--;
	join_group(groups, cgroup, group);
	group_get(nameless); /* it must outlive this */
	leave_group(groups, nameless);
	bequeath(groups, nameless, group);
	group_put(groups, nameless);
}

static void name_all_late(struct groups *groups)
{
	for (size_t i = 0; groups->nameless && i < groups->size; i++)
		for (struct cgroup **at = &groups->cgroups[i], *cgroup; (cgroup = *at);) {
			if (cgroup->nameless_ns)
				name_late(groups, cgroup);
			if (cgroup->gone && !cgroup->nameless_ns)
				remove_cgroup(groups, at);
			else
				at = &cgroup->next;
		}
}

bool groups_made(struct groups *groups, uint64_t id, const char *path)
{
	if (*find(groups, id))
		return false;
	add(groups, id, path); /* without memory it is (removed), as one that nobody saw */
	return true;
}

bool groups_take_heirs(struct groups *groups)
{
	bool had = groups->have_heirs;

	groups->have_heirs = false;
	return had;
}

/* ---- the trees ---- */

struct visit {
	struct groups *groups;
	uint64_t flag; /* CGROUP_BLKIO or 0 */
};

static int meet(uint64_t id, const char *path, void *arg)
{
	const struct visit *visit = arg;
	struct cgroup **known = find(visit->groups, id | visit->flag);

	return *known ? meet_again(visit->groups, known, path)
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
	if (groups->naming && groups->naming->names)
		container_names_new_poll(groups->naming->names);
	name_all_late(groups);
}

bool groups_failed(const struct groups *groups)
{
	return groups->failed && groups->mounts.main[0];
}

/* ---- the rest ---- */

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
	const struct cgroup *cgroup = *find(groups, id);

	return cgroup && !cgroup->gone;
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

void groups_each_cgroup(struct groups *groups,
			void (*each)(uint64_t id, const char *path, const struct group *group,
				     void *arg),
			void *arg)
{
	for (size_t i = 0; i < groups->size; i++)
		for (const struct cgroup *cgroup = groups->cgroups[i]; cgroup;
		     cgroup = cgroup->next)
			if (!cgroup->nameless_ns && !cgroup->gone)
				each(cgroup->id, cgroup->path, cgroup->group, arg);
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

size_t groups_count(const struct groups *groups)
{
	return groups->nr_cgroups;
}
