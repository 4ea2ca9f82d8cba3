/* SPDX-License-Identifier: GPL-2.0-only */
#include "label_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "label.h"
#include "log.h"

/* Deeper trees than any runtime makes; bounds the walk's stack of descriptors. */
#define MAX_DEPTH 64

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
	int failed; /* errno of the last walk, so that it is logged once */
};

/* ---- the labels of a path ---- */

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && !memcmp(text + len - n, suffix, n);
}

/* The unit a path belongs to: its last one, but a user's own manager owns all that it starts. */
static const char *unit_of_path(const char *path, size_t *len)
{
	static const char *const suffixes[] = { ".service", ".scope", ".mount", ".socket" };
	const char *unit = NULL;

	for (const char *element = path; *element;) {
		size_t n = strcspn(element, "/");

		for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
			if (ends_with(element, n, suffixes[i])) {
				unit = element;
				*len = n;
			}
		if (unit == element && !strncmp(element, "user@", 5))
			break;
		element += n + !!element[n];
	}
	return unit;
}

/* The one place that names a group. Sources are tried in order; the last one always answers. */
void group_labels_of_path(struct buffer *out, const char *path)
{
	size_t len = 0;
	const char *unit = unit_of_path(path, &len);

	if (unit)
		label_add(out, "unit", unit, len);
	else
		label_add(out, "cgroup", path, strlen(path));
}

bool path_is_pod(const char *path)
{
	return strstr(path, "kubepods") && (strstr(path, "/pod") || strstr(path, "-pod"));
}

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

static void drop_unseen(struct groups *groups, uint64_t now_ns)
{
	for (size_t i = 0; i < groups->size; i++)
		for (struct cgroup **at = &groups->cgroups[i], *cgroup; (cgroup = *at);) {
			if (cgroup->seen == groups->walk) {
				at = &cgroup->next;
				continue;
			}
			*at = cgroup->next;
			groups->nr_cgroups--;
			if (!--cgroup->group->live)
				cgroup->group->gone_ns = now_ns;
			forget_if_unused(groups, cgroup->group);
			if (groups->listener)
				groups->listener(cgroup->id, cgroup->is_pod, false, groups->arg);
			free(cgroup);
		}
}

/* ---- the walk ---- */

struct walker {
	struct groups *groups;
	uint64_t flag; /* CGROUP_BLKIO or 0 */
	char path[4096];
};

/* `fd` is a cgroup's directory, closed here; its path is walker->path[0 .. len). */
static int walk(struct walker *w, int fd, size_t len, int depth)
{
	struct cgroup *known;
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int err = 0;

	if (fstat(fd, &st) || !(dir = fdopendir(fd))) {
		err = -errno;
		close(fd);
		return err;
	}
	known = *find(w->groups, st.st_ino | w->flag);
	if (known)
		known->seen = w->groups->walk;
	else
		err = add(w->groups, st.st_ino | w->flag, len ? w->path : "/");
	while (!err && depth < MAX_DEPTH && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || len + n + 2 > sizeof(w->path))
			continue;
		child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child < 0)
			continue; /* removed meanwhile */
		w->path[len] = '/';
		memcpy(w->path + len + 1, entry->d_name, n + 1);
		if (walk(w, child, len + 1 + n, depth + 1) == -ENOMEM)
			err = -ENOMEM;
		w->path[len] = 0;
	}
	closedir(dir);
	return err;
}

static int walk_root(struct groups *groups, const char *root, uint64_t flag)
{
	struct walker w = { .groups = groups, .flag = flag };
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : walk(&w, fd, 0, 0);
}

int groups_walk(struct groups *groups, uint64_t now_ns)
{
	int err;

	if (!groups->mounts.main[0]) {
		groups->failed = ENOENT; /* cgroup_mounts_find() said it */
		return -ENOENT;
	}
	groups->walk++;
	err = walk_root(groups, groups->mounts.main, 0);
	if (!err && groups->mounts.blkio[0])
		err = walk_root(groups, groups->mounts.blkio, CGROUP_BLKIO);
	if (err) {
		if (groups->failed != -err)
			log_warn("cannot read the cgroup tree at \"%s\": %s; counts go on, groups are called (unknown)",
				 groups->mounts.main, strerror(-err));
		groups->failed = -err;
		return err;
	}
	groups->failed = 0;
	drop_unseen(groups, now_ns);
	return groups->nr_cgroups;
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
	if (cgroup)
		return cgroup->group;
	return groups->failed ? groups->unknown : groups->removed;
}

struct group *groups_removed(struct groups *groups)
{
	return groups->removed;
}

void groups_each_live(struct groups *groups, void (*each)(struct group *group, void *arg), void *arg)
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
