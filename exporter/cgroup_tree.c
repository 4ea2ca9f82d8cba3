/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper trees than any runtime makes; bounds the walk's stack of descriptors. */
#define MAX_DEPTH 64

struct walker {
	int (*each)(uint64_t id, const char *path, void *arg);
	void *arg;
	char path[4096];
	bool refused; /* a folder is not ours to read */
};

/* `fd` is a cgroup's folder, closed here; its path is walker->path[0 .. len). */
static int walk(struct walker *w, int fd, size_t len, int depth)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int err = 0;

	if (fstat(fd, &st) || !(dir = fdopendir(fd))) {
		err = -errno;
		close(fd);
		return depth ? 0 : err;
	}
	err = w->each(st.st_ino, len ? w->path : "/", w->arg);
	while (!err && depth < MAX_DEPTH && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    len + n + 2 > sizeof(w->path))
			continue;
		child = openat(dirfd(dir), entry->d_name,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child < 0) {
			w->refused |= errno == EACCES;
			continue; /* or removed meanwhile */
		}
		w->path[len] = '/';
		memcpy(w->path + len + 1, entry->d_name, n + 1);
		err = walk(w, child, len + 1 + n, depth + 1);
		w->path[len] = 0;
	}
	closedir(dir);
	return err;
}

int cgroup_tree_walk(const char *root, int (*each)(uint64_t id, const char *path, void *arg),
		     void *arg)
{
	struct walker w = { .each = each, .arg = arg };
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : walk(&w, fd, 0, 0);
}

static int nothing(uint64_t id, const char *path, void *arg)
{
	(void)id;
	(void)path;
	(void)arg;
	return 0;
}

int cgroup_tree_try(const char *root)
{
	struct walker w = { .each = nothing };
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : walk(&w, fd, 0, 0);

	return err ? err : w.refused ? -EACCES : 0;
}
