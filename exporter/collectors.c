/* SPDX-License-Identifier: GPL-2.0-only */
/* collectors: which there are: the built-in ones, those of folders, and which of them are switched
 * on. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "attach_parts.h"
#include "embedded.h"
#include "files.h"
#include "log.h"
#include "object.h"

const char *const collector_state_names[] = { "up", "partial", "down", "off" };
const char *const event_rate_names[] = { "rare", "medium", "hot" };

bool collector_is_helper(const struct collector *collector)
{
	return !collector->schema.nr_tables;
}

static struct collector *find(const struct collectors *collectors, const char *name)
{
	for (size_t i = 0; i < collectors->n; i++)
		if (!strcmp(collectors->list[i].name, name))
			return &collectors->list[i];
	return NULL;
}

/* What COLLECTOR() in the object's source says; without it a collector is on. */
static void read_defaults(struct collector *c)
{
	const uint8_t *on = variables_constant(c->object, "collector_on", sizeof(*on));
	const uint8_t *rate = variables_constant(c->object, "collector_rate", sizeof(*rate));

	c->enabled = !on || *on;
	c->rate = rate && *rate <= RATE_HOT ? *rate : RATE_MEDIUM;
}

/* Takes an object in under a name. Returns 0, or -errno after one line. */
static int add(struct collectors *collectors, const char *name, const char *source,
	       struct bpf_object *object)
{
	struct collector *bigger =
		reallocarray(collectors->list, collectors->n + 1, sizeof(*bigger));
	struct collector *c;

	if (!bigger) {
		bpf_object__close(object);
		return -ENOMEM;
	}
	collectors->list = bigger;
	c = &bigger[collectors->n];
	*c = (struct collector){ .name = strdup(name),
				 .source = source ? strdup(source) : NULL,
				 .object = object };
	read_defaults(c);
	collectors->n++;
	return c->name && (!source || c->source) ? 0 : -ENOMEM;
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
		log_error("%s: the file's name is its collector's: expected NAME.bpf.o with a NAME "
			  "of a-z, 0-9 "
			  "and _, not dir; rename it",
			  path);
		err = -EINVAL;
	} else if (find(collectors, name)) {
		log_error("%s: there is a collector named %s already (%s); rename the file", path,
			  name,
			  find(collectors, name)->source ? find(collectors, name)->source
							 : "built in");
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
		struct bpf_object *object = object_open_bytes(
			e->name, e->data, e->size, collectors->kernel.path, why, sizeof(why));

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
			c->enabled = c->asked_for = s->on;
			continue;
		}
		names[0] = 0;
		for (size_t k = 0; k < collectors->n && used < sizeof(names); k++)
			if (!collector_is_helper(&collectors->list[k]))
				used += snprintf(names + used, sizeof(names) - used, "%s%s",
						 used ? ", " : "", collectors->list[k].name);
		log_error("--%scollector.%s: there is no such collector; there are %s",
			  s->on ? "" : "no-", s->name, names);
		return -ENOENT;
	}
	return 0;
}

/* What the kernel has of all that they ask about. That it has no BTF is told at load: --list needs
 * none. */
static int read_kernel(struct collectors *collectors)
{
	struct bpf_object **objects = calloc(collectors->n + 1, sizeof(*objects));
	int err;

	if (!objects)
		return -ENOMEM;
	for (size_t i = 0; i < collectors->n; i++)
		objects[i] = collectors->list[i].object;
	err = kernel_btf_read(&collectors->kernel, KERNEL_BTF, objects, collectors->n);
	free(objects);
	if (err && err != -ENOENT)
		log_warn("%s cannot be read: %s", KERNEL_BTF, strerror(-err));
	return err == -ENOMEM ? err : 0;
}

static int read_schemas(struct collectors *collectors)
{
	int err = 0;

	for (size_t i = 0; i < collectors->n && !err; i++) {
		struct collector *c = &collectors->list[i];

		err = schema_read(&c->schema, c->object, collectors->kernel.types, c->reason,
				  sizeof(c->reason));
		if (!err && !c->source) {
			err = files_add_tables(c->name, &c->schema);
			if (err)
				snprintf(c->reason, sizeof(c->reason), "out of memory");
		}
		if (err)
			log_error("%s: %s", c->source ? c->source : c->name, c->reason);
	}
	return err;
}

int collectors_open(struct collectors *collectors, const struct options *options)
{
	int err;

	*collectors = (struct collectors){ 0 };
	object_log_start();
	kernel_btf_open(&collectors->kernel);
	err = hooks_register();
	for (size_t i = 0; i < options->nr_files && !err; i++)
		err = add_file(collectors, options->files[i], false);
	if (!options->nr_files && !err)
		err = add_embedded(collectors);
	for (size_t i = 0; i < options->nr_collector_dirs && !err; i++)
		err = add_folder(collectors, options->collector_dirs[i]);
	if (!err)
		err = read_kernel(collectors);
	if (!err)
		err = read_schemas(collectors);
	return err ? err : apply_switches(collectors, options);
}
