/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attach_variables: what programs and exporter tell each other in the programs' global variables:
 * facts of the node before load (.rodata), counters and what was touched after it (.bss).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "attach_parts.h"
#include "log.h"

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
	int id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(t)[i];
		const struct btf_type *var = btf__type_by_id(btf, v->type);

		if (v->size == size && !strcmp(btf__name_by_offset(btf, var->name_off), name))
			return v->offset;
	}
	return -1;
}

void *variables_constant(const struct bpf_object *object, const char *name, size_t size)
{
	ssize_t offset = variable_offset(object, ".rodata", name, size);
	struct bpf_map *map = section_map(object, ".rodata");
	size_t mapped;
	/* const or not, by libbpf version */
	char *data = map ? (char *)(uintptr_t)bpf_map__initial_value(map, &mapped) : NULL;

	return data && offset >= 0 && offset + size <= mapped ? data + offset : NULL;
}

/* A counter of the loaded program, in its own memory. */
static uint64_t *counter(const struct collector *c, const char *name)
{
	ssize_t offset = variable_offset(c->object, ".bss", name, sizeof(uint64_t));

	return c->bss && offset >= 0 ? (uint64_t *)((char *)c->bss + offset) : NULL;
}

static uint64_t *table_counter(const struct collector *c, size_t table, const char *what)
{
	char name[256];

	snprintf(name, sizeof(name), "%s___%s", c->schema.tables[table].name, what);
	return counter(c, name);
}

/* libbpf maps an object's .bss only for skeletons (until 1.6). Before 5.5 there is no mapping at
 * all. */
static void map_bss(struct collector *c)
{
	struct bpf_map *map = section_map(c->object, ".bss");
	void *data;

	if (!map)
		return;
	data = mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
		    bpf_map__fd(map), 0);
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

void variables_tell_facts(struct collector *c, const struct node_facts *facts)
{
	bool *v1 = variables_constant(c->object, "node_cgroup_v1", sizeof(*v1));
	uint64_t *start = variables_constant(c->object, "node_start_ns", sizeof(*start));
	uint32_t *hz = variables_constant(c->object, "node_hz", sizeof(*hz));
	uint32_t *shards = variables_constant(c->object, "node_shards", sizeof(*shards));
	bool *per_cpu = variables_constant(c->object, "node_shard_per_cpu", sizeof(*per_cpu));
	uint8_t *percent = variables_constant(c->object, "iterators_percent", sizeof(*percent));

	if (percent)
		c->iterators_percent = *percent;
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

/*
 * Whether a program has the address of a map, and that of a variable in .bss. libbpf has put the
 * descriptors into the instructions that load them by now.
 */
static void look_for(const struct bpf_program *program, int map, int bss, int32_t offset,
		     bool *has_map, bool *has_variable)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	size_t n = bpf_program__insn_cnt(program);

	*has_map = *has_variable = false;
	for (size_t i = 0; i + 1 < n; i++) {
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		*has_map |= insns[i].src_reg == BPF_PSEUDO_MAP_FD && insns[i].imm == map;
		*has_variable |= insns[i].src_reg == BPF_PSEUDO_MAP_VALUE && insns[i].imm == bss &&
				 insns[i + 1].imm == offset;
		i++;
	}
}

/* Where programs say that they touch a table; NULL when one of those that use it never does. */
static uint64_t *find_touched(const struct collector *c, size_t table)
{
	const struct bpf_map *bss = section_map(c->object, ".bss");
	uint64_t *touched = table_counter(c, table, "touched");
	bool uses, says, used = false;

	for (size_t i = 0; touched && i < c->nr_programs; i++) {
		if (bpf_program__fd(c->programs[i].bpf) < 0)
			continue;
		look_for(c->programs[i].bpf, bpf_map__fd(c->schema.tables[table].map),
			 bpf_map__fd(bss), (int32_t)((char *)touched - (char *)c->bss), &uses,
			 &says);
		used |= uses;
		if (!uses || says)
			continue;
		log_debug("%s: table %s is read at each poll, as %s does not TOUCH() it", c->name,
			  c->schema.tables[table].name, bpf_program__name(c->programs[i].bpf));
		return NULL;
	}
	return used ? touched : NULL;
}

int variables_find(struct collectors *collectors, struct collector *c)
{
	const uint64_t *changes;
	char name[256];

	map_bss(c);
	changes = counter(c, "cgroup_changes");
	if (changes) {
		collectors->cgroup_changes = changes;
		collectors->cgroup_untold = counter(c, "cgroup_untold");
	}
	c->told = calloc(c->schema.nr_tables + 1, sizeof(*c->told));
	if (!c->told)
		return -ENOMEM;
	for (size_t i = 0; i < c->schema.nr_tables; i++)
		c->told[i] = (struct table_told){ table_counter(c, i, "lost"), find_touched(c, i) };
	for (size_t i = 0; i < c->nr_programs; i++) {
		snprintf(name, sizeof(name), "%s___rescued", bpf_program__name(c->programs[i].bpf));
		c->programs[i].rescued = counter(c, name);
	}
	return 0;
}
