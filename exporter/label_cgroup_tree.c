/* SPDX-License-Identifier: GPL-2.0-only */
/* label_cgroup_tree.c: which cgroups there are, by walks and by what programs tell, and the group
 * of each. */
#include "label_cgroup_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup_path.h"
#include "cgroup_tree.h"
#include "hash.h"
#include "log.h"

#define PATIENCE_NS                                                                                \
	(30 * 1000000000ULL)		 /* how long a name may take to come: log links are late   \
					  */
#define WALK_NS	   (5 * 1000000000ULL)	 /* how often to walk when nobody tells of changes */
#define RECHECK_NS (300 * 1000000000ULL) /* how often when somebody does */
/* More walks of a poll, for ids that are not known: new ones keep coming where many come and go,
 * and a tree of thousands takes a third of a second. */
#define MORE_WALKS 2

/* ---- one cgroup ---- */

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
	struct group *group = group_of_path(groups, path, false);
	bool nameless = !group && errno == EAGAIN;
	struct cgroup *cgroup, **at;

	if (nameless)
		group = group_nameless(groups, id);
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
	cgroup->group = group;
	group_join(groups, group);
	at = find(groups, id);
	*at = cgroup;
	groups->nr_cgroups++;
	if (groups->listener)
		groups->listener(id, cgroup->is_pod, true, groups->arg);
	return 0;
}

static void remove_cgroup(struct groups *groups, struct cgroup **at)
{
	struct cgroup *cgroup = *at;

	*at = cgroup->next;
	groups->nr_cgroups--;
	groups->nameless -= cgroup->nameless_ns != 0;
	group_leave(groups, cgroup->group);
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

/* One that is gone leaves, unless it waits for its name: it may still get it, for what it counted.
 * Gives where the next one is. */
static struct cgroup **drop(struct groups *groups, struct cgroup **at)
{
	struct cgroup *cgroup = *at;

	if (!cgroup->nameless_ns) {
		remove_cgroup(groups, at);
		return at;
	}
	if (!cgroup->gone && groups->listener)
		groups->listener(cgroup->id, cgroup->is_pod, false, groups->arg);
	cgroup->gone = true;
	groups->version++;
	return &cgroup->next;
}

static void drop_unseen(struct groups *groups)
{
	for (size_t i = 0; i < groups->size; i++)
		for (struct cgroup **at = &groups->cgroups[i], *cgroup; (cgroup = *at);)
			at = cgroup->seen == groups->walk || cgroup->gone ? &cgroup->next
									  : drop(groups, at);
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
	cgroup->group = group;
	group_join(groups, group);
	group_get(nameless); /* it must outlive this */
	group_leave(groups, nameless);
	group_bequeath(groups, nameless, group);
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

/* ---- what programs tell ---- */

void groups_follow(struct groups *groups, const struct groups_news *news)
{
	groups->news = *news;
}

static uint64_t untold_now(const struct groups *groups)
{
	const uint64_t *untold = groups->news.untold;

	return untold ? __atomic_load_n(untold, __ATOMIC_RELAXED) : 0;
}

void groups_made(struct groups *groups, uint64_t id, const char *path)
{
	if (!*find(groups, id) && add(groups, id, path))
		groups->walked_ns = 0; /* for want of memory; a walk may have some */
}

void groups_gone(struct groups *groups, uint64_t id)
{
	if (groups->nr_leaving == groups->room_leaving) {
		size_t room = groups->room_leaving ? groups->room_leaving * 2 : 64;
		uint64_t *more = reallocarray(groups->leaving, room, sizeof(*more));

		if (!more) {
			groups->walked_ns = 0;
			return;
		}
		groups->leaving = more;
		groups->room_leaving = room;
	}
	groups->leaving[groups->nr_leaving++] = id;
}

static void let_leave(struct groups *groups)
{
	for (size_t i = 0; i < groups->nr_leaving; i++) {
		struct cgroup **at = find(groups, groups->leaving[i]);

		if (*at)
			drop(groups, at);
	}
	groups->nr_leaving = 0;
}

static void hear(struct groups *groups)
{
	if (groups->news.hear)
		groups->news.hear(groups->news.arg);
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

int groups_walk(struct groups *groups, uint64_t now_ns)
{
	int err;

	if (!groups->mounts.main[0]) {
		groups->failed = ENOENT; /* cgroup_mounts_find() said it */
		return -ENOENT;
	}
	groups->walk++;
	groups->now_ns = now_ns;
	groups->walked_ns = now_ns ? now_ns : 1;
	groups->walked_untold = untold_now(groups);
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

bool groups_failed(const struct groups *groups)
{
	return groups->failed && groups->mounts.main[0];
}

static bool walk_is_due(const struct groups *groups)
{
	uint64_t since = groups->now_ns - groups->walked_ns;

	if (!groups->walked_ns || groups_failed(groups))
		return true;
	return groups->news.untold
		       ? untold_now(groups) != groups->walked_untold || since >= RECHECK_NS
		       : since >= WALK_NS;
}

void groups_new_poll(struct groups *groups, uint64_t now_ns)
{
	groups->walks_left = groups->news.untold ? MORE_WALKS : 1;
	groups->now_ns = now_ns;
	if (groups->naming && groups->naming->names)
		container_names_new_poll(groups->naming->names);
	let_leave(groups);
	name_all_late(groups);
}

void groups_refresh(struct groups *groups)
{
	if (walk_is_due(groups))
		groups_walk(groups, groups->now_ns);
	/* after the walk, which drops what is gone: what came and went since the last poll has its
	 * name while the tables of this one are read */
	hear(groups);
}

/*
 * An id that is not known: of a cgroup made since, or of one that is gone, whose id may come back
 * many times. So one more walk only if one may find more. (File handles would tell as well, but ask
 * for CAP_DAC_READ_SEARCH, with which the exporter could read every file of the node.)
 */
static struct cgroup *look_up(struct groups *groups, uint64_t id)
{
	struct cgroup *cgroup;

	hear(groups); /* also where the trees cannot be read */
	cgroup = *find(groups, id);
	if (cgroup || groups->failed || !groups->walks_left ||
	    (groups->news.untold && untold_now(groups) == groups->walked_untold))
		return cgroup;
	groups->walks_left--;
	groups_walk(groups, groups->now_ns);
	return *find(groups, id);
}

/* ---- questions ---- */

struct group *groups_find(struct groups *groups, uint64_t id)
{
	struct cgroup *cgroup;

	if (!id)
		return groups->overflow;
	cgroup = *find(groups, id);
	if (!cgroup)
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

size_t groups_count(const struct groups *groups)
{
	return groups->nr_cgroups;
}
