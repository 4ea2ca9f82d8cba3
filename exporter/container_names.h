/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * container_names: what a pod, a container or its runtime calls itself, from files that the kubelet
 *and the runtimes leave on the node anyway. No API server, no runtime's socket.
 *
 *	/var/log/pods/NAMESPACE_POD_UID/		pod of a uid
 *	/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log	container of an id
 *	STATE/io.containerd.runtime.v2.task/.../ID/config.json	containerd: the same by annotations
 *	.../overlay-containers/ID/userdata/config.json		CRI-O: likewise
 *	.../containers.json, .../ID/config.v2.json		podman, docker: the container's name
 *
 * All of it is untrusted text: what is no name by the rules of its kind is not taken, and only ids
 * made of hex digits become parts of a path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cgroup_path.h"

struct container_name {
	char namespace[64], pod[254]; /* "" for what is no pod's */
	char container[254];	      /* "" for a sandbox, a pod's own cgroup and a monitor */
	const char *runtime;	      /* whose state said so; NULL when it was somebody else */
};

struct container_names;

/* `rootfs` (--path.rootfs, "/" for the node's own) is where the folders above are; borrowed. */
struct container_names *container_names_new(const char *rootfs);
void container_names_free(struct container_names *names);

/* A poll begins: each folder is read once more, at most, when something is asked for. */
void container_names_new_poll(struct container_names *names);

/*
 * Looks for the names of a container or a pod; fills what is known. True when nothing is missing.
 * Links and state files may come seconds after the cgroup: ask again at the next poll.
 */
bool container_names_find(struct container_names *names, const struct cgroup_path *path,
			  struct container_name *out);

/*
 * The runtime of a pod's container whose path does not tell it (the kubelet's cgroupfs driver): the
 * one that has state of its id, "" when none has. A kubelet has one runtime, so it is looked for
 * until it is known.
 */
const char *container_names_kubelets_runtime(struct container_names *names,
					     const struct cgroup_path *path);

/*
 * A path that says nothing of itself: that of a task of containerd's (ctr: "/NAMESPACE/NAME", any
 * name) or below one? There is its state before its cgroup is. Fills the name if so.
 */
bool container_names_of_task(struct container_names *names, const char *path,
			     struct container_name *out);

/*
 * A folder that names are in, below `rootfs`: what the sandbox must leave readable. `top` is its
 * runtime's own; the rest may be made later, when that one is there.
 */
struct container_names_folder {
	const char *top, *rest;
	bool closed; /* its runtime keeps what is in it for root */
};
extern const struct container_names_folder container_names_folders[];
extern const size_t container_names_nr_folders;

/* The folder, or, as long as it is not there, its top. */
void container_names_place(const struct container_names_folder *folder, const char *rootfs,
			   char *out, size_t size);
/*
 * Whether all of these folders that exist could be read by who we are now; what a child asks that
 * has given up privileges. `opens_all`: it may read what is root's alone. Returns 0 or -EACCES.
 */
int container_names_try(const char *rootfs, bool opens_all);
