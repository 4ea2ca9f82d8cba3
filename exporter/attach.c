/* SPDX-License-Identifier: GPL-2.0-only */
#include "attach.h"

#include <dirent.h>
#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "embedded.h"
#include "log.h"
#include "object.h"

const char *const collector_state_names[] = { "up", "partial", "down", "off" };

/* One map that several objects declare (bpf/metrics.bpf.h): made by the first, handed to the others. */
struct shared_map {
	char *name;
	int fd;
	uint32_t type, key_size, value_size;
};

bool collector_is_helper(const struct collector *collector)
{
	return !collector->schema.nr_tables;
}

/* ---- open ---- */

static struct collector *find(const struct collectors *collectors, const char *name)
{
	for (size_t i = 0; i < collectors->n; i++)
		if (!strcmp(collectors->list[i].name, name))
			return &collectors->list[i];
	return NULL;
}

/* Takes an object in under a name. Returns 0, or -errno after one line. */
static int add(struct collectors *collectors, const char *name, const char *source,
	       struct bpf_object *object)
{
	struct collector *bigger = reallocarray(collectors->list, collectors->n + 1, sizeof(*bigger));
	struct collector *c;
	int err;

	if (!bigger) {
		bpf_object__close(object);
		return -ENOMEM;
	}
	collectors->list = bigger;
	c = &bigger[collectors->n];
	*c = (struct collector){ .name = strdup(name),
				 .source = source ? strdup(source) : NULL,
				 .object = object,
				 .enabled = true };
	if (!c->name || (source && !c->source)) {
		bpf_object__close(object);
		return -ENOMEM;
	}
	err = schema_read(&c->schema, object, collectors->kernel, c->reason, sizeof(c->reason));
	if (err)
		log_error("%s: %s", source ? source : name, c->reason);
	collectors->n++;
	return err;
}

static int add_file(struct collectors *collectors, const char *path, bool trusted)
{
	char why[512];
	struct bpf_object *object = object_open_file(path, trusted, why, sizeof(why));
	char *name;
	int err;

	if (!object) {
		log_error("%s: %s", path, why);
		return -EINVAL;
	}
	name = object_name(path);
	if (!name) {
		err = -ENOMEM;
	} else if (!option_is_collector_name(name)) {
		log_error("%s: the file's name is its collector's: expected NAME.bpf.o with a NAME of a-z, 0-9 "
			  "and _, not dir; rename it", path);
		err = -EINVAL;
	} else if (find(collectors, name)) {
		log_error("%s: there is a collector named %s already (%s); rename the file", path, name,
			  find(collectors, name)->source ? find(collectors, name)->source : "built in");
		err = -EEXIST;
	} else {
		err = add(collectors, name, path, object);
		object = NULL; /* taken */
	}
	bpf_object__close(object);
	free(name);
	return err;
}

static int is_object(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return n > 6 && entry->d_name[0] != '.' && !strcmp(entry->d_name + n - 6, ".bpf.o");
}

static int add_folder(struct collectors *collectors, const char *folder)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, is_object, alphasort), err = 0;
	char path[4096];

	if (n < 0) {
		log_error("--collector.dir=%s: %m; expected a folder with x.bpf.o files", folder);
		return -errno;
	}
	if (!n)
		log_warn("--collector.dir=%s: no x.bpf.o file in it", folder);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (!err)
			err = add_file(collectors, path, true);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static int add_embedded(struct collectors *collectors)
{
	char why[512];
	int err = 0;

	for (const struct embedded_object *e = embedded_objects; e->name && !err; e++) {
		struct bpf_object *object = object_open_bytes(e->name, e->data, e->size, why, sizeof(why));

		if (!object) {
			log_error("built-in collector %s: %s", e->name, why);
			return -EINVAL;
		}
		err = add(collectors, e->name, NULL, object);
	}
	return err;
}

static int apply_switches(struct collectors *collectors, const struct options *options)
{
	for (size_t i = 0; i < options->nr_switches; i++) {
		const struct collector_switch *s = &options->switches[i];
		struct collector *c = find(collectors, s->name);
		char names[512];
		size_t used = 0;

		if (c) {
			c->enabled = s->on;
			continue;
		}
		names[0] = 0;
		for (size_t k = 0; k < collectors->n && used < sizeof(names); k++)
			if (!collector_is_helper(&collectors->list[k]))
				used += snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
						 collectors->list[k].name);
		log_error("--%scollector.%s: there is no such collector; there are %s", s->on ? "" : "no-",
			  s->name, names);
		return -ENOENT;
	}
	return 0;
}

int collectors_open(struct collectors *collectors, const struct options *options)
{
	int err = 0;

	*collectors = (struct collectors){ 0 };
	object_log_start();
	collectors->kernel = btf__load_vmlinux_btf(); /* NULL is told at load: --list needs none */
	if (libbpf_get_error(collectors->kernel))
		collectors->kernel = NULL;
	for (size_t i = 0; i < options->nr_files && !err; i++)
		err = add_file(collectors, options->files[i], false);
	if (!options->nr_files)
		err = add_embedded(collectors);
	for (size_t i = 0; i < options->nr_collector_dirs && !err; i++)
		err = add_folder(collectors, options->collector_dirs[i]);
	return err ? err : apply_switches(collectors, options);
}

/* ---- load ---- */

static bool kernel_has_storage(const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(kernel, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(kernel, btf_enum(t)[i].name_off), "BPF_FUNC_task_storage_get"))
			return true;
	return false;
}

/* The arguments' types, "sock,sk_buff,int": which of a hook's shapes this kernel has. */
static char *variant_of(const struct btf *kernel, int typedef_id)
{
	const struct btf_type *t = btf__type_by_id(kernel, typedef_id);
	char text[256] = "";
	size_t used = 0;

	while (t && (btf_is_typedef(t) || btf_is_ptr(t) || btf_is_mod(t)))
		t = btf__type_by_id(kernel, t->type);
	for (int i = 1; t && btf_is_func_proto(t) && i < btf_vlen(t) && used < sizeof(text); i++) {
		const struct btf_type *arg = btf__type_by_id(kernel, btf_params(t)[i].type);

		while (arg && (btf_is_ptr(arg) || btf_is_mod(arg)))
			arg = btf__type_by_id(kernel, arg->type);
		used += snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
				 arg ? btf__name_by_offset(kernel, arg->name_off) : "void");
	}
	return strdup(text);
}

/*
 * x___since_6_4 and x___before_6_4 are one program for kernels with and without struct bpf_iter_num
 * (bpf/compat.bpf.h says why): true for the one of them that is not for this kernel.
 */
static bool is_for_other_kernel(const char *name, const struct btf *kernel)
{
	bool newer = btf__find_by_name_kind(kernel, "bpf_iter_num", BTF_KIND_STRUCT) > 0;

	return strstr(name, newer ? "___before_6_4" : "___since_6_4");
}

/*
 * One program: is there what it attaches to? A missing tracepoint would sink the whole object
 * (ESRCH at load), so its program is switched off before.
 */
static void look_for_hook(struct program *program, const struct btf *kernel)
{
	const char *section = bpf_program__section_name(program->bpf);
	char type[256];
	int id;

	/* libbpf cuts the `?` of SEC("?...") off and leaves such a program switched off */
	program->is_optional = !bpf_program__autoload(program->bpf);
	program->hook = strchr(section, '/') ? strchr(section, '/') + 1 : section;
	if (!strncmp(section, "tp_btf/", 7))
		snprintf(type, sizeof(type), "btf_trace_%s", program->hook);
	else if (!strncmp(section, "iter/", 5))
		snprintf(type, sizeof(type), "bpf_iter__%s", program->hook);
	else
		return; /* a user's own program of another kind: libbpf knows */
	program->is_iterator = section[0] == 'i';
	id = btf__find_by_name_kind(kernel, type, program->is_iterator ? BTF_KIND_STRUCT : BTF_KIND_TYPEDEF);
	program->is_missing = id <= 0;
	if (is_for_other_kernel(bpf_program__name(program->bpf), kernel))
		program->is_missing = program->is_optional = true;
	if (!program->is_missing && !program->is_iterator)
		program->variant = variant_of(kernel, id);
	bpf_program__set_autoload(program->bpf, !program->is_missing);
}

static int find_programs(struct collector *c, const struct btf *kernel)
{
	struct bpf_program *bpf;
	size_t n = 0;

	bpf_object__for_each_program(bpf, c->object)
		n++;
	c->programs = calloc(n + 1, sizeof(*c->programs));
	if (!c->programs)
		return -ENOMEM;
	bpf_object__for_each_program(bpf, c->object) {
		c->programs[c->nr_programs].bpf = bpf;
		look_for_hook(&c->programs[c->nr_programs++], kernel);
	}
	return 0;
}

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
static int prepare_maps(struct collectors *collectors, struct collector *c, bool storage)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, c->object) {
		const char *name = bpf_map__name(map);
		const struct shared_map *shared = find_shared(collectors, name);
		const char *flavour = strstr(name, "___before_5_11");
		enum bpf_map_type type = bpf_map__type(map);

		if ((flavour && storage) ||
		    (!storage && (type == BPF_MAP_TYPE_TASK_STORAGE || type == BPF_MAP_TYPE_SK_STORAGE)))
			bpf_map__set_autocreate(map, false);
		if (!shared)
			continue;
		if (shared->type != type || shared->key_size != bpf_map__key_size(map) ||
		    shared->value_size != bpf_map__value_size(map)) {
			snprintf(c->reason, sizeof(c->reason),
				 "map %s is not that of the other collectors; build the object with this exporter's headers",
				 name);
			return -EINVAL;
		}
		if (bpf_map__reuse_fd(map, shared->fd))
			return -errno;
	}
	return 0;
}

static void share_maps(struct collectors *collectors, struct collector *c)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, c->object) {
		const char *name = bpf_map__name(map);
		struct shared_map *bigger;
		int fd = bpf_map__fd(map);

		if (strncmp(name, "shared_", 7) || fd < 0 || find_shared(collectors, name))
			continue;
		bigger = reallocarray(collectors->shared, collectors->nr_shared + 1, sizeof(*bigger));
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

	bpf_object__for_each_map(map, object) {
		const char *dot = strchr(bpf_map__name(map), '.');

		if (bpf_map__is_internal(map) && dot && !strcmp(dot, section))
			return map;
	}
	return NULL;
}

/* Where a global variable lies in its section, or -1 when there is none of that name and size. */
static ssize_t variable_offset(const struct bpf_object *object, const char *section, const char *name,
			       size_t size)
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

/* libbpf maps an object's .bss only for skeletons (until 1.6). Before 5.5 there is no mapping at all. */
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

static void tell_facts(struct collector *c, const struct node_facts *facts)
{
	bool *v1 = constant(c->object, "node_cgroup_v1", sizeof(*v1));
	uint64_t *start = constant(c->object, "node_start_ns", sizeof(*start));
	uint32_t *shards = constant(c->object, "node_shards", sizeof(*shards));
	bool *per_cpu = constant(c->object, "node_shard_per_cpu", sizeof(*per_cpu));

	if (v1)
		*v1 = facts->cgroup_v1;
	if (start)
		*start = facts->start_ns;
	if (shards)
		*shards = facts->shards;
	if (per_cpu)
		*per_cpu = facts->shard_per_cpu;
}

/* The row that catches what finds no other (ROW_OF_ZEROS in bpf/metrics.bpf.h). */
static int reserve_rows(struct collector *c)
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
		err = key && value ? bpf_map_update_elem(bpf_map__fd(table->map), key, value, BPF_ANY) : -ENOMEM;
		free(key);
		free(value);
		if (err)
			return -errno;
	}
	return 0;
}

static int find_variables(struct collectors *collectors, struct collector *c)
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

static void detach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		bpf_link__destroy(c->programs[i].link);
		c->programs[i].link = NULL;
	}
}

/* All or nothing: half of a pair of programs exports numbers that look right. */
static int attach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		struct program *program = &c->programs[i];

		if (program->is_missing)
			continue;
		program->link = bpf_program__attach(program->bpf);
		if (!program->link) {
			int err = -errno;

			snprintf(c->reason, sizeof(c->reason), "cannot attach %s to %s: %s",
				 bpf_program__name(program->bpf), program->hook, strerror(-err));
			detach(c);
			return err;
		}
	}
	return 0;
}

static const char *error_of(int err)
{
	switch (-err) {
	case EPERM:
		return "permission";
	case EACCES:
	case EINVAL:
	case E2BIG:
	case ENOSPC:
		return *object_verifier_log() ? "verifier" : "unsupported_kernel";
	case ENOMEM:
		return "memory";
	}
	return "unsupported_kernel";
}

static int load(struct collectors *collectors, struct collector *c, const struct node_facts *facts,
		bool storage)
{
	int err = prepare_maps(collectors, c, storage);

	if (err)
		return err;
	tell_facts(c, facts);
	object_log_clear();
	err = bpf_object__load(c->object);
	if (err) {
		const char *why = *object_verifier_log() ? object_verifier_log() : object_log();

		snprintf(c->reason, sizeof(c->reason), "the kernel refuses it: %s%s%s", strerror(-err),
			 *why ? ": " : "", why);
		return err;
	}
	share_maps(collectors, c);
	err = reserve_rows(c);
	if (!err)
		err = find_variables(collectors, c);
	return err ? err : attach(c);
}

/* Which hooks the kernel lacks, though no other program does their work. */
static void note_missing(struct collector *c)
{
	size_t used = 0, missing = 0, needed = 0;

	for (size_t i = 0; i < c->nr_programs; i++) {
		needed += !c->programs[i].is_optional;
		if (!c->programs[i].is_missing || c->programs[i].is_optional)
			continue;
		missing++;
		if (used < sizeof(c->reason))
			used += snprintf(c->reason + used, sizeof(c->reason) - used, "%s%s",
					 used ? ", " : "this kernel has no ", c->programs[i].hook);
	}
	if (!missing)
		return;
	c->state = missing == needed ? COLLECTOR_DOWN : COLLECTOR_PARTIAL;
	c->error = "unsupported_kernel";
}

static void load_one(struct collectors *collectors, struct collector *c, const struct node_facts *facts,
		     bool storage)
{
	int err;

	c->state = COLLECTOR_OFF;
	if (!c->enabled)
		return;
	c->state = COLLECTOR_UP;
	err = find_programs(c, collectors->kernel);
	if (!err)
		note_missing(c);
	if (!err && c->state != COLLECTOR_DOWN)
		err = load(collectors, c, facts, storage);
	if (err) {
		c->state = COLLECTOR_DOWN;
		c->error = error_of(err);
		if (!*c->reason)
			snprintf(c->reason, sizeof(c->reason), "%s", strerror(-err));
	}
	if (c->state == COLLECTOR_DOWN)
		log_error("collector %s is off: %s", c->name, c->reason);
	else if (c->state == COLLECTOR_PARTIAL)
		log_warn("collector %s: %s; the rest of it runs", c->name, c->reason);
}

int collectors_load(struct collectors *collectors, const struct node_facts *facts)
{
	bool storage;

	if (!collectors->kernel) {
		log_error("no BTF of the running kernel (/sys/kernel/btf/vmlinux): the programs find the kernel's "
			  "fields by it; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount sysfs");
		return -ENOENT;
	}
	storage = kernel_has_storage(collectors->kernel);
	for (size_t i = 0; i < collectors->n; i++)
		load_one(collectors, &collectors->list[i], facts, storage);
	btf__free(collectors->kernel); /* 6 MB that nobody needs again */
	collectors->kernel = NULL;
#ifdef __GLIBC__
	malloc_trim(0); /* nor what libbpf needed on the way: 20 MB, most of it below something that stays */
#endif
	return 0;
}

int collectors_settle(struct collectors *collectors)
{
	int running = 0;

	for (size_t i = 0; i < collectors->n; i++) {
		struct collector *c = &collectors->list[i];

		if (c->state == COLLECTOR_DOWN)
			detach(c);
		running += c->state <= COLLECTOR_PARTIAL && !collector_is_helper(c);
	}
	return running;
}

void collectors_close(struct collectors *collectors)
{
	for (size_t i = 0; i < collectors->n; i++) {
		struct collector *c = &collectors->list[i];

		detach(c);
		for (size_t k = 0; k < c->nr_programs; k++)
			free(c->programs[k].variant);
		free(c->programs);
		free(c->lost);
		if (c->bss)
			munmap(c->bss, c->bss_size);
		schema_free(&c->schema);
		bpf_object__close(c->object);
		free(c->source);
		free(c->name);
	}
	for (size_t i = 0; i < collectors->nr_shared; i++) {
		close(collectors->shared[i].fd);
		free(collectors->shared[i].name);
	}
	btf__free(collectors->kernel);
	free(collectors->shared);
	free(collectors->list);
	*collectors = (struct collectors){ 0 };
}
