/* SPDX-License-Identifier: GPL-2.0-only */
/* attach_maps: the maps of an object: those it shares, the reserved rows. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
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
#include "label.h"

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

/*
 * Do hash maps of this kernel have an allocator that a program may use wherever it runs? Since 6.1
 * (fba1a1c6c912); before, a row made at run time meant kmalloc() under whatever lock was held.
 */
bool maps_grow_safely(const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "bpf_htab", BTF_KIND_STRUCT);
	const struct btf_type *t = id > 0 ? btf__type_by_id(kernel, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_type *member = btf__type_by_id(kernel, btf_members(t)[i].type);

		if (member && btf_is_struct(member) &&
		    !strcmp(btf__name_by_offset(kernel, member->name_off), "bpf_mem_alloc"))
			return true;
	}
	return false;
}

static bool is_table(const struct collector *c, const struct bpf_map *map)
{
	for (size_t i = 0; i < c->schema.nr_tables; i++)
		if (c->schema.tables[i].map == map)
			return true;
	return false;
}

/*
 * Whether a map's rows are made as they come, so that a table costs what is in it. Not:
 *
 *	- scratch maps: theirs come and go with each event, and without memory for one the event
 *would be lost; a table's new row stays for long, and what finds none is counted in the group's
 *	- rows per CPU: those come from a reserve that a burst of them empties
 *	- tables that cost less whole than what each CPU keeps at hand for new rows (memalloc.c: 96
 *of up to 256 bytes, or as much), on machines with many CPUs
 */
#define AT_HAND (96 * 256)
static bool grows(const struct collector *c, const struct bpf_map *map)
{
	size_t row = 56 + (bpf_map__key_size(map) + 7) / 8 * 8 + bpf_map__value_size(map);

	return !c->source && bpf_map__type(map) == BPF_MAP_TYPE_HASH && is_table(c, map) &&
	       row * bpf_map__max_entries(map) > (size_t)libbpf_num_possible_cpus() * AT_HAND;
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
		if (collectors->maps_grow && grows(c, map))
			bpf_map__set_map_flags(map, bpf_map__map_flags(map) | BPF_F_NO_PREALLOC);
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

/*
 * Interrupts have small numbers, given out from below, so that an array by number is the quickest
 * table; but each row costs every CPU, and the poll. Devices that are plugged in later find some
 * room, and what does not is in row 0, whose name is "other".
 */
#define IRQS_LATER 64
#define MOST_IRQS  4096
void maps_fit(struct collector *c, const struct node_facts *facts)
{
	uint32_t rows = 1 + facts->irqs + IRQS_LATER;

	if (!facts->irqs)
		return;
	for (size_t i = 0; i < c->schema.nr_tables; i++) {
		struct table *table = &c->schema.tables[i];

		if (!table->map || !table_is_array(table) || table->nr_labels != 1 ||
		    table->labels[0].kind != label_kind_irq)
			continue;
		table->max_entries = rows < MOST_IRQS ? rows : MOST_IRQS;
		bpf_map__set_max_entries(table->map, table->max_entries);
	}
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

int maps_reserve_row(const struct table *table)
{
	size_t cpus = table_is_percpu(table) ? libbpf_num_possible_cpus() : 1;
	void *key = calloc(1, table->key_size);
	void *value = calloc(cpus, (table->value_size + 7) / 8 * 8);
	int err = -ENOMEM;

	if (key && value)
		err = bpf_map_update_elem(bpf_map__fd(table->map), key, value, BPF_ANY) ? -errno
											: 0;
	free(key);
	free(value);
	return err;
}

int maps_reserve_rows(struct collector *c)
{
	int err = 0;

	for (size_t i = 0; i < c->schema.nr_tables && !err; i++)
		if (c->schema.tables[i].map && !table_is_array(&c->schema.tables[i]))
			err = maps_reserve_row(&c->schema.tables[i]);
	return err;
}

#define MAX_CPUS 8192 /* that a kernel can be built for: their numbers may have holes */

struct warming {
	const struct collector *c;
	cpu_set_t *cpus;
	size_t size; /* of `cpus` */
	void *key, *value;
};

/* Whether a table's rows are made as they come. */
static bool makes_rows(const struct table *table)
{
	return table->map && bpf_map__map_flags(table->map) & BPF_F_NO_PREALLOC;
}

static void warm_here(const struct warming *w)
{
	for (size_t i = 0; i < w->c->schema.nr_tables; i++) {
		const struct table *table = &w->c->schema.tables[i];
		int fd = makes_rows(table) ? bpf_map__fd(table->map) : -1;

		if (fd >= 0 && !bpf_map_update_elem(fd, w->key, w->value, BPF_NOEXIST))
			bpf_map_delete_elem(fd, w->key);
	}
}

/* In a thread of its own, which takes with it that it was bound to CPUs. */
static void *warm_everywhere(void *arg)
{
	const struct warming *w = arg;
	size_t end = 8 * w->size;
	cpu_set_t *one = calloc(1, w->size);

	for (size_t cpu = 0; one && cpu < end; cpu++) {
		if (!CPU_ISSET_S(cpu, w->size, w->cpus))
			continue;
		CPU_SET_S(cpu, w->size, one);
		if (!sched_setaffinity(0, w->size, one))
			warm_here(w);
		CPU_CLR_S(cpu, w->size, one);
	}
	free(one);
	return NULL;
}

/*
 * A new map has 4 rows at hand on each CPU, or one of more than 256 bytes, and gets more when one
 * is taken and interrupts are on again (memalloc.c). A switch of tasks may need two at once: the
 * second of them would be counted in the row of zeros. So one is taken before, and given back.
 */
void maps_warm(const struct collector *c)
{
	struct warming w = { .c = c, .size = CPU_ALLOC_SIZE(MAX_CPUS) };
	size_t key = 0, value = 0;
	pthread_t thread;

	for (size_t i = 0; i < c->schema.nr_tables; i++) {
		const struct table *table = &c->schema.tables[i];

		if (!makes_rows(table))
			continue;
		key = table->key_size > key ? table->key_size : key;
		value = table->value_size > value ? table->value_size : value;
	}
	if (!key || !value)
		return;
	w.cpus = calloc(1, w.size);
	w.key = malloc(key);
	w.value = calloc(1, value);
	if (w.cpus && w.key && w.value && !sched_getaffinity(0, w.size, w.cpus)) {
		memset(w.key, 0xff, key); /* what no event has */
		if (!pthread_create(&thread, NULL, warm_everywhere, &w))
			pthread_join(thread, NULL);
	}
	free(w.cpus);
	free(w.key);
	free(w.value);
}
