/* SPDX-License-Identifier: GPL-2.0-only */
/* attach_maps: the maps of an object: those it shares, its constants and counters, the reserved
 * rows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "attach_parts.h"

static struct shared_map *find_shared(const struct collectors *collectors, const char *name)
{
	for (size_t i = 0; i < collectors->nr_shared; i++)
		if (!strcmp(collectors->shared[i].name, name))
			return &collectors->shared[i];
	return NULL;
}

int collectors_shared_map(const struct collectors *collectors, const char *name)
{
	const struct shared_map *shared = find_shared(collectors, name);

	return shared ? shared->fd : -1;
}

/* Maps that this kernel cannot make stay away, maps that exist already are used. */
int maps_prepare(struct collectors *collectors, struct collector *c, bool storage)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, c->object)
	{
		const char *name = bpf_map__name(map);
		const struct shared_map *shared = find_shared(collectors, name);
		const char *flavour = strstr(name, "___before_5_11");
		enum bpf_map_type type = bpf_map__type(map);

		if ((flavour && storage) || (!storage && (type == BPF_MAP_TYPE_TASK_STORAGE ||
							  type == BPF_MAP_TYPE_SK_STORAGE)))
			bpf_map__set_autocreate(map, false);
		if (!shared)
			continue;
		if (shared->type != type || shared->key_size != bpf_map__key_size(map) ||
		    shared->value_size != bpf_map__value_size(map)) {
			snprintf(c->reason, sizeof(c->reason),
				 "map %s is not that of the other collectors; build the object "
				 "with this exporter's headers",
				 name);
			return -EINVAL;
		}
		if (bpf_map__reuse_fd(map, shared->fd))
			return -errno;
	}
	return 0;
}

void maps_share(struct collectors *collectors, struct collector *c)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, c->object)
	{
		const char *name = bpf_map__name(map);
		struct shared_map *bigger;
		int fd = bpf_map__fd(map);

		if (strncmp(name, "shared_", 7) || fd < 0 || find_shared(collectors, name))
			continue;
		bigger = reallocarray(collectors->shared, collectors->nr_shared + 1,
				      sizeof(*bigger));
		if (!bigger)
			return;
		collectors->shared = bigger;
		bigger[collectors->nr_shared++] = (struct shared_map){
			.name = strdup(name),
			.fd = dup(fd),
			.type = bpf_map__type(map),
			.key_size = bpf_map__key_size(map),
			.value_size = bpf_map__value_size(map),
		};
	}
}

static struct bpf_map *section_map(const struct bpf_object *object, const char *section)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		const char *dot = strchr(bpf_map__name(map), '.');

		if (bpf_map__is_internal(map) && dot && !strcmp(dot, section))
			return map;
	}
	return NULL;
}

/* Where a global variable lies in its section, or -1 when there is none of that name and size. */
static ssize_t variable_offset(const struct bpf_object *object, const char *section,
			       const char *name, size_t size)
{
	const struct btf *btf = bpf_object__btf(object);
	int id = btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(t)[i];
		const struct btf_type *var = btf__type_by_id(btf, v->type);

		if (v->size == size && !strcmp(btf__name_by_offset(btf, var->name_off), name))
			return v->offset;
	}
	return -1;
}

/* A constant, to be set before load. */
static void *constant(const struct bpf_object *object, const char *name, size_t size)
{
	ssize_t offset = variable_offset(object, ".rodata", name, size);
	struct bpf_map *map = section_map(object, ".rodata");
	size_t mapped;
	/* const or not, by libbpf version */
	char *data = map ? (char *)(uintptr_t)bpf_map__initial_value(map, &mapped) : NULL;

	return data && offset >= 0 && offset + size <= mapped ? data + offset : NULL;
}

/* A counter of the loaded program, in its own memory. */
static const uint64_t *counter(const struct collector *c, const char *name)
{
	ssize_t offset = variable_offset(c->object, ".bss", name, sizeof(uint64_t));

	return c->bss && offset >= 0 ? (const uint64_t *)((const char *)c->bss + offset) : NULL;
}

/* libbpf maps an object's .bss only for skeletons (until 1.6). Before 5.5 there is no mapping at
 * all. */
static void map_bss(struct collector *c)
{
	struct bpf_map *map = section_map(c->object, ".bss");
	void *data;

	if (!map)
		return;
	data = mmap(NULL, bpf_map__value_size(map), PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
	if (data == MAP_FAILED)
		return;
	c->bss = data;
	c->bss_size = bpf_map__value_size(map);
}

/*
 * CONFIG_HZ: the coarse clocks step once a jiffy. sysconf(_SC_CLK_TCK) is not it (that is 100
 * everywhere), and the kernel's configuration is not in a container.
 */
static uint32_t jiffies_in_a_second(void)
{
	struct timespec step;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &step) || step.tv_nsec <= 0)
		return 250;
	return (1000000000 + step.tv_nsec / 2) / step.tv_nsec;
}

void maps_tell_facts(struct collector *c, const struct node_facts *facts)
{
	bool *v1 = constant(c->object, "node_cgroup_v1", sizeof(*v1));
	uint64_t *start = constant(c->object, "node_start_ns", sizeof(*start));
	uint32_t *hz = constant(c->object, "node_hz", sizeof(*hz));
	uint32_t *shards = constant(c->object, "node_shards", sizeof(*shards));
	bool *per_cpu = constant(c->object, "node_shard_per_cpu", sizeof(*per_cpu));

	if (v1)
		*v1 = facts->cgroup_v1;
	if (start)
		*start = facts->start_ns;
	if (hz)
		*hz = jiffies_in_a_second();
	if (shards)
		*shards = facts->shards;
	if (per_cpu)
		*per_cpu = facts->shard_per_cpu;
}

/* The row that catches what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h). */
int maps_reserve_rows(struct collector *c)
{
	for (size_t i = 0; i < c->schema.nr_tables; i++) {
		const struct table *table = &c->schema.tables[i];
		size_t cpus = table_is_percpu(table) ? libbpf_num_possible_cpus() : 1;
		void *key, *value;
		int err;

		if (table_is_array(table))
			continue;
		key = calloc(1, table->key_size);
		value = calloc(cpus, (table->value_size + 7) / 8 * 8);
		err = key && value
			      ? bpf_map_update_elem(bpf_map__fd(table->map), key, value, BPF_ANY)
			      : -ENOMEM;
		free(key);
		free(value);
		if (err)
			return -errno;
	}
	return 0;
}

int maps_find_variables(struct collectors *collectors, struct collector *c)
{
	const uint64_t *changes;
	char name[256];

	map_bss(c);
	changes = counter(c, "cgroup_changes");
	if (changes)
		collectors->cgroup_changes = changes;
	c->lost = calloc(c->schema.nr_tables + 1, sizeof(*c->lost));
	if (!c->lost)
		return -ENOMEM;
	for (size_t i = 0; i < c->schema.nr_tables; i++) {
		snprintf(name, sizeof(name), "%s___lost", c->schema.tables[i].name);
		c->lost[i] = counter(c, name);
	}
	return 0;
}
