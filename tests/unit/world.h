/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * world: all that a fold needs, without a kernel: a schema read from an object, a cgroup tree that is
 * a plain folder (an id is its inode number, as in cgroupfs), and a procfs of empty folders.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "fold.h"
#include "group_name.h"
#include "label.h"
#include "object.h"
#include "render.h"

#define WORLD_SECOND 1000000000ULL
#define WORLD_TABLES 32

struct world {
	char dir[64], proc[80];
	struct bpf_object *object;
	struct schema schema;
	struct families *families;
	struct group_naming naming; /* by path alone, until a test sets it */
	struct groups *groups;
	struct processes *processes;
	struct fold *fold;
	struct fold_table *tables[WORLD_TABLES];
	struct snapshot_store *store;
	uint64_t now_ns;
	unsigned int gone; /* cgroups moved away */
};

/* as struct who of bpf/who.bpf.h */
struct world_who {
	uint64_t cgroup;
	int32_t pid;
	char comm[16];
	uint32_t pad;
};

static inline void world_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	abort();
}

static inline const char *world_path(struct world *w, const char *kind, const char *name)
{
	static char paths[4][512];
	static int turn;
	char *path = paths[turn++ & 3];

	snprintf(path, sizeof(paths[0]), "%s/%s%s", w->dir, kind, name);
	return path;
}

/* Makes a cgroup ("/a/b", its parents too) and says its id. */
static inline uint64_t world_cgroup(struct world *w, const char *path)
{
	char copy[256];
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *at = copy + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(world_path(w, "cgroup", copy), 0755);
		*at = '/';
	}
	mkdir(world_path(w, "cgroup", path), 0755);
	world_must(!stat(world_path(w, "cgroup", path), &st), path);
	return st.st_ino;
}

/* Takes a cgroup out of the tree. Moved, not removed: its inode number must not come back. */
static inline void world_cgroup_gone(struct world *w, const char *path)
{
	char to[16];

	snprintf(to, sizeof(to), "/%u", w->gone++);
	world_must(!rename(world_path(w, "cgroup", path), world_path(w, "gone", to)), path);
}

static inline void world_process(struct world *w, int pid, bool lives)
{
	char name[16];

	snprintf(name, sizeof(name), "/%d", pid);
	if (lives)
		world_must(!mkdir(world_path(w, "proc", name), 0755) || errno == EEXIST, name);
	else
		world_must(!rmdir(world_path(w, "proc", name)) || errno == ENOENT, name);
}

static inline struct world *world_new(const char *object, uint64_t retention_s, bool process_level)
{
	struct world *w = calloc(1, sizeof(*w));
	struct cgroup_mounts mounts = { .mode = CGROUP_V2 };
	struct fold_config config;
	char why[512] = "";

	world_must(w != NULL, "memory");
	strcpy(w->dir, "/tmp/bpf_exporter_world_XXXXXX");
	world_must(mkdtemp(w->dir) != NULL, w->dir);
	world_must(!mkdir(world_path(w, "cgroup", ""), 0755) && !mkdir(world_path(w, "gone", ""), 0755) &&
			   !mkdir(world_path(w, "proc", ""), 0755) &&
			   !mkdir(world_path(w, "proc", "/self"), 0755),
		   w->dir);
	snprintf(mounts.main, sizeof(mounts.main), "%s", world_path(w, "cgroup", ""));
	snprintf(w->proc, sizeof(w->proc), "%s", world_path(w, "proc", ""));
	w->now_ns = WORLD_SECOND;
	w->families = families_new();
	w->groups = groups_new(&mounts, &w->naming, NULL, NULL);
	w->processes = processes_new(w->proc);
	w->store = snapshot_store_new();
	config = (struct fold_config){ w->families, w->groups, w->processes, retention_s * WORLD_SECOND,
				       retention_s * WORLD_SECOND, process_level };
	w->fold = fold_new(&config);
	w->object = object_open_file(object, false, why, sizeof(why));
	if (!w->object || schema_read(&w->schema, w->object, NULL, why, sizeof(why)))
		world_must(false, why);
	for (size_t i = 0; i < w->schema.nr_tables; i++) {
		world_must(i < WORLD_TABLES, "tables");
		w->tables[i] = fold_add_table(w->fold, &w->schema.tables[i], why, sizeof(why));
		world_must(w->tables[i] != NULL, why);
	}
	return w;
}

static inline void world_free(struct world *w)
{
	char command[128];

	fold_free(w->fold);
	families_free(w->families);
	groups_free(w->groups);
	processes_free(w->processes);
	snapshot_store_free(w->store);
	schema_free(&w->schema);
	bpf_object__close(w->object);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	world_must(!system(command), command);
	free(w);
}

static inline struct fold_table *world_table(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->schema.nr_tables; i++)
		if (!strcmp(w->schema.tables[i].name, name))
			return w->tables[i];
	world_must(false, name);
	return NULL;
}

static inline struct world_who world_who(uint64_t cgroup, int pid, const char *comm)
{
	struct world_who who = { .cgroup = cgroup, .pid = pid };

	strncpy(who.comm, comm, sizeof(who.comm)); /* NOLINT: 16 bytes need no NUL */
	return who;
}

static inline void world_walk(struct world *w)
{
	groups_new_poll(w->groups, w->now_ns);
	groups_walk(w->groups, w->now_ns);
}

/* What comes after the tables of a poll, `seconds` after the last. */
static inline void world_tick(struct world *w, unsigned int seconds)
{
	w->now_ns += seconds * WORLD_SECOND;
	world_walk(w);
	fold_tick(w->fold, w->now_ns, true);
	world_must(!families_publish(w->families, w->store, 1000, NULL, 0), "publish");
}

static inline struct series *world_series(struct world *w, const char *family, const char *labels)
{
	struct family *f = families_find(w->families, family);

	world_must(f != NULL, family);
	for (size_t i = 0; i < f->nr_series; i++)
		if (f->series[i]->index != SERIES_REMOVED && f->series[i]->labels_len == strlen(labels) &&
		    !memcmp(series_labels(f->series[i]), labels, strlen(labels)))
			return f->series[i];
	return NULL;
}

/* The value of a series, -1 when there is none. */
static inline long long world_value(struct world *w, const char *family, const char *labels)
{
	const struct series *series = world_series(w, family, labels);

	return series ? (long long)series->value : -1;
}

static inline unsigned long long world_sum(struct world *w, const char *family)
{
	const struct family *f = families_find(w->families, family);
	unsigned long long sum = 0;

	world_must(f != NULL, family);
	for (size_t i = 0; i < f->nr_series; i++)
		if (f->series[i]->index != SERIES_REMOVED)
			sum += f->series[i]->value;
	return sum;
}
