/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Deeper trees than any runtime makes; bounds the walk's stack of descriptors. */
#define MAX_DEPTH   64
#define MAX_RETRIES 1000

struct walker {
	int (*each)(uint64_t id, const char *path, void *arg);
	void *arg;
	char path[4096];
	bool refused; /* a folder is not ours to read */
	int retries;  /* left, of calls that were interrupted */
};

static int open_folder(struct walker *w, int parent, const char *name, int flags)
{
	int fd;

	while ((fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags)) < 0 &&
	       errno == EINTR && w->retries-- > 0)
		;
	return fd;
}

/* NULL at the end, and with *err set when that was not the end: the rest is not known then. */
static struct dirent *read_entry(struct walker *w, DIR *dir, int *err)
{
	struct dirent *entry;

	do
		errno = 0;
	while (!(entry = readdir(dir)) && errno == EINTR && w->retries-- > 0);
	*err = entry ? 0 : -errno;
	return entry;
}

/*
 * Why a folder below may be left out: removed meanwhile, or never to be read. Everything else
 * (EMFILE, ENOMEM, ...) is of the moment and ends the walk: left out, its cgroups would look
 * removed.
 */
static bool may_leave_out(int err)
{
	return err == ENOENT || err == ENODEV || err == ENOTDIR || err == ELOOP || err == EACCES ||
	       err == EPERM;
}

/* `fd` is a cgroup's folder, closed here; its path is walker->path[0 .. len). */
static int walk(struct walker *w, int fd, size_t len, int depth)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int err;

	if (fstat(fd, &st) || !(dir = fdopendir(fd))) {
		err = -errno;
		close(fd);
		return err;
	}
	err = w->each(st.st_ino, len ? w->path : "/", w->arg);
	while (!err && depth < MAX_DEPTH && (entry = read_entry(w, dir, &err))) {
		size_t n = strlen(entry->d_name);
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
		    len + n + 2 > sizeof(w->path))
			continue;
		child = open_folder(w, dirfd(dir), entry->d_name, O_NOFOLLOW);
		if (child < 0) {
			w->refused |= errno == EACCES;
			err = may_leave_out(errno) ? 0 : -errno;
			continue;
		}
		w->path[len] = '/';
		memcpy(w->path + len + 1, entry->d_name, n + 1);
		err = walk(w, child, len + 1 + n, depth + 1);
		w->path[len] = 0;
	}
	closedir(dir);
	return err;
}

static int walk_root(struct walker *w, const char *root, uint64_t *kind)
{
	int fd = open_folder(w, AT_FDCWD, root, 0);
	struct statfs fs;
	int err = 0;

	if (fd < 0)
		return -errno;
	/* The folder that a tree was mounted on is an empty tree, but of another kind. */
	if (fstatfs(fd, &fs))
		err = -errno;
	else if (*kind && *kind != (uint64_t)fs.f_type)
		err = -ESTALE;
	if (err) {
		close(fd);
		return err;
	}
	*kind = fs.f_type;
	return walk(w, fd, 0, 0);
}

int cgroup_tree_walk(const char *root, uint64_t *kind,
		     int (*each)(uint64_t id, const char *path, void *arg), void *arg)
{
	struct walker w = { .each = each, .arg = arg, .retries = MAX_RETRIES };

	return walk_root(&w, root, kind);
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
	struct walker w = { .each = nothing, .retries = MAX_RETRIES };
	uint64_t kind = 0;
	int err = walk_root(&w, root, &kind);

	return err ? err : w.refused ? -EACCES : 0;
}
