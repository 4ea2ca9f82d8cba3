/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deeper trees than any runtime makes; bounds the walk's stack of descriptors. */
#define MAX_DEPTH 64

#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: the handle is the 64-bit id */

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

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || len + n + 2 > sizeof(w->path))
			continue;
		child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
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

int cgroup_tree_walk(const char *root, int (*each)(uint64_t id, const char *path, void *arg), void *arg)
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

/* Where an open folder lies below the root; a removed one is called "... (deleted)". */
static int path_below(const char *root, int fd, char *path, size_t size)
{
	char link[64], target[4096];
	size_t len = strlen(root);
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	if (fstat(fd, &st) || !st.st_nlink)
		return -ENOENT;
	if (strncmp(target, root, len) != 0 || (target[len] && target[len] != '/') || (size_t)n - len >= size)
		return -ESTALE; /* mounted elsewhere too, or renamed meanwhile: the walk knows */
	snprintf(path, size, "%s", target[len] ? target + len : "/");
	return 0;
}

int cgroup_tree_path(const char *root, uint64_t id, char *path, size_t size)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + sizeof(id)];
	} u = { .handle = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, err;

	if (root_fd < 0)
		return -errno;
	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(root_fd, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? -errno : path_below(root, fd, path, size);
	if (fd >= 0)
		close(fd);
	close(root_fd);
	return err == -ESTALE && fd < 0 ? -ENOENT : err;
}
