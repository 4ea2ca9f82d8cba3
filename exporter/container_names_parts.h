/* SPDX-License-Identifier: GPL-2.0-only */
/* container_names_parts: what container_names.c asks of container_names_state.c, and the other way
 * round. */
#pragma once

#include <stddef.h>

#include "container_names.h"

/* Lower-case letters, digits and inner '-' (and '.'): RFC 1123, as Kubernetes names things. */
bool name_is_kube(const char *text, size_t len, size_t most, bool dots);

/* What the runtimes' own state says of a container's id. True when it is known. */
bool container_names_of_state(const char *rootfs, const struct cgroup_path *path,
			      struct container_name *out);

/* Likewise, of "/NAMESPACE/NAME" and what is below it. */
bool container_names_of_tasks_state(const char *rootfs, const char *path,
				    struct container_name *out);
