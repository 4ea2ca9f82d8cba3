/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_events: cgroups as they are made and removed, from the ring buffer of bpf/cgroups.bpf.c.
 * One that lives for 10 ms has its name by them, and no tree is walked; where the kernel is too old
 * (before 5.13) or the buffer was full, there is the next walk.
 */
#pragma once

#include "label_cgroup.h"

struct cgroup_events;

/*
 * Follows the ring buffer behind `fd` (kept open by the caller); -1: there is none, and NULL is
 * returned. `procfs` tells which hierarchies of v1 the exporter's groups are of. Before privileges
 * are dropped. NULL with errno on failure: groups come from walks alone then.
 */
struct cgroup_events *cgroup_events_open(int fd, const char *procfs,
					 const struct cgroup_mounts *mounts, struct groups *groups);
void cgroup_events_close(struct cgroup_events *events);

/* Tells the groups of `events` (struct cgroup_events) of all cgroups made and removed since the
 * last call: the `hear` of struct groups_news. */
void cgroup_events_take(void *events);
