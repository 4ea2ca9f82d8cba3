/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_events.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

/* struct cgroup_change of bpf/cgroups.bpf.c */
struct record {
	uint64_t id;
	uint32_t hierarchy;
	char path[];
};

struct cgroup_events {
	struct ring_buffer *ring;
	struct groups *groups;
	uint32_t main, blkio; /* numbers of the hierarchies */
	bool have_blkio;
};

/* The hierarchy that a controller is in: "memory 9 12 1". False: the kernel has no such controller.
 */
static bool hierarchy_of(const char *procfs, const char *controller, uint32_t *number)
{
	char path[512], line[128], name[64];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/cgroups", procfs);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63s %u", name, number) == 2 && !strcmp(name, controller);
	if (file)
		fclose(file);
	return found;
}

static int take(void *arg, void *data, size_t size)
{
	struct cgroup_events *events = arg;
	const struct record *record = data;
	uint64_t id = record->id;

	if (size <= offsetof(struct record, path) ||
	    record->path[size - offsetof(struct record, path) - 1])
		return 0; /* not ours: no name is better than a wrong one */
	if (record->hierarchy != events->main) {
		if (!events->have_blkio || record->hierarchy != events->blkio)
			return 0;
		id |= CGROUP_BLKIO;
	}
	if (!record->path[0])
		groups_gone(events->groups, id);
	else if (record->path[0] == '/')
		groups_made(events->groups, id, record->path);
	return 0;
}

struct cgroup_events *cgroup_events_open(int fd, const char *procfs,
					 const struct cgroup_mounts *mounts, struct groups *groups)
{
	struct cgroup_events *events;

	if (fd < 0)
		return NULL;
	events = calloc(1, sizeof(*events));
	if (!events)
		return NULL;
	events->groups = groups;
	if (mounts->mode == CGROUP_V1 || mounts->mode == CGROUP_HYBRID) {
		if (!hierarchy_of(procfs, "memory", &events->main)) {
			free(events);
			errno = ENOENT;
			return NULL;
		}
		events->have_blkio = hierarchy_of(procfs, "blkio", &events->blkio);
	}
	events->ring = ring_buffer__new(fd, take, events, NULL);
	if (events->ring)
		return events;
	free(events);
	return NULL;
}

void cgroup_events_close(struct cgroup_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->ring);
	free(events);
}

void cgroup_events_take(void *events)
{
	ring_buffer__consume(((struct cgroup_events *)events)->ring);
}
