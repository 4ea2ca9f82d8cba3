/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_tree: a hierarchy's folders, and their ids. An id is the inode number of a cgroup's folder
 * (kernfs, since 5.5), which is also what the programs read from kernfs_node.id.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Calls `each` for the root ("/") and every cgroup below it, parents first. Returns 0, what `each`
 * returned if that was not 0 (the walk ends there), or -errno when not all of it could be read: the
 * root, or for a reason of the moment a folder below. What is removed meanwhile is left out, as are
 * folders that are not ours to read. `*kind` remembers the kind of file system, 0 before the first
 * walk: -ESTALE when another one is there now.
 */
int cgroup_tree_walk(const char *root, uint64_t *kind,
		     int (*each)(uint64_t id, const char *path, void *arg), void *arg);

/* Whether all of it can be read: 0, -EACCES when a folder below cannot be, or -errno for the root.
 */
int cgroup_tree_try(const char *root);
