/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_path: what a cgroup's path alone says of whose it is: a pod's container, a container, a
 * unit of systemd, or none of them. Pure text: asks no file.
 *
 * What is further down a path was named by what is further up: a container that manages cgroups of
 * its own chooses their names. So the outermost owner counts, and nobody becomes somebody else by
 * the name of a folder. One exception: a container that the node itself is (kind, k3d: a node in
 * Docker), whose pods are the node's. Containers of a user (rootless) are of the unit user@UID,
 * with their id besides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum cgroup_owner { OWNER_PATH, OWNER_UNIT, OWNER_CONTAINER, OWNER_POD };

struct cgroup_path {
	enum cgroup_owner owner;
	const char *unit; /* OWNER_UNIT: in the path, not terminated */
	size_t unit_len;
	char pod_uid[37];      /* OWNER_POD: as the API server writes it; "" else */
	char container_id[65]; /* of a pod's container or a container: 64 hex digits; "" when the
				  path has none */
	char name[64];	       /* OWNER_CONTAINER without an id: its name (LXC, machined) */
	char pod_id[65];       /* podman: the pod that the container is in; "" else */
	const char *runtime; /* "containerd", "cri-o", "docker", "podman", "lxc", "machined"; "" */
	const char *qos;     /* OWNER_POD: "guaranteed", "burstable", "besteffort"; "" else */
	bool monitor; /* of the process that watches a container (conmon): not the container's */
};

/* `path` begins with '/' and is relative to the hierarchy's root; borrowed by out->unit. */
void cgroup_path_parse(struct cgroup_path *out, const char *path);

/* Whether a cgroup is a pod's, or below one. */
bool cgroup_path_is_pod(const char *path);
