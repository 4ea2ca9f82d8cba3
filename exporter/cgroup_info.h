/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_info: ebpf_cgroup_info, a series for each cgroup of a container or a unit with all that is
 * known of it: what would cost too much on every series is joined from here.
 *
 *	... * on (namespace, pod, container) group_left (uid) ebpf_cgroup_info
 */
#pragma once

#include "container_names.h"
#include "label_cgroup.h"
#include "series.h"

struct cgroup_info;

/* Makes the family. `names` (borrowed, NULL: no files are asked) tells the kubelet's runtime where
 * paths do not. NULL with errno. */
struct cgroup_info *cgroup_info_new(struct families *families, struct container_names *names);
void cgroup_info_free(struct cgroup_info *info);

/* After a poll: series for cgroups that came, none for those that went. */
void cgroup_info_update(struct cgroup_info *info, struct groups *groups);
