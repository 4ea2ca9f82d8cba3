/* SPDX-License-Identifier: GPL-2.0-only */
#include "node_facts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define MAX_SHARDS 16 /* rows per group that CPUs share, see bpf/sched.bpf.c */

/* How many numbers CPUs may have: one more than the highest, as the list may have holes; 0: not
 * known. */
static unsigned int cpu_numbers(const char *sysfs)
{
	char path[512], list[4096], *last = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "%s/devices/system/cpu/possible", sysfs);
	file = fopen(path, "re");
	if (file && fgets(list, sizeof(list), file)) /* "0-3,8-11" */
		for (last = list + strcspn(list, "\n");
		     last > list && last[-1] >= '0' && last[-1] <= '9';)
			last--;
	if (file)
		fclose(file);
	return last && *last >= '0' && *last <= '9' ? strtoul(last, NULL, 10) + 1 : 0;
}

static void choose_shards(struct node_facts *facts, const char *sysfs)
{
	unsigned int cpus = cpu_numbers(sysfs);

	facts->shards = 1;
	while (facts->shards < MAX_SHARDS && facts->shards < cpus)
		facts->shards *= 2;
	facts->shard_per_cpu = cpus && facts->shards >= cpus;
}

/* One more than the highest number of an interrupt; 0: not known. */
static uint32_t irq_numbers(const char *sysfs)
{
	struct dirent *entry;
	uint32_t numbers = 0;
	char path[512], *end;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/kernel/irq", sysfs);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		unsigned long irq = strtoul(entry->d_name, &end, 10);

		if (end != entry->d_name && !*end && irq < UINT16_MAX && irq >= numbers)
			numbers = irq + 1;
	}
	if (dir)
		closedir(dir);
	return numbers;
}

void node_facts_read(struct node_facts *facts, const struct cgroup_mounts *mounts,
		     const char *sysfs)
{
	*facts = (struct node_facts){
		.cgroup_v1 = mounts->mode == CGROUP_V1 || mounts->mode == CGROUP_HYBRID,
		.start_ns = monotonic_ns(),
		.irqs = irq_numbers(sysfs),
	};
	choose_shards(facts, sysfs);
}
