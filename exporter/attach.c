/* SPDX-License-Identifier: GPL-2.0-only */
#include "attach_parts.h"

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

#include "log.h"
#include "object.h"
#include "privilege.h"

static bool kernel_has_storage(const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(kernel, id) : NULL;

	for (int i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(kernel, btf_enum(t)[i].name_off),
			    "BPF_FUNC_task_storage_get"))
			return true;
	return false;
}

static int find_programs(struct collector *c, const struct kernel_btf *kernel, bool storage)
{
	struct bpf_program *bpf;
	size_t n = 0;
	int err = 0;

	bpf_object__for_each_program(bpf, c->object) n++;
	c->programs = calloc(n + 1, sizeof(*c->programs));
	if (!c->programs)
		return -ENOMEM;
	bpf_object__for_each_program(bpf, c->object)
	{
		struct program *program = &c->programs[c->nr_programs++];

		program->bpf = bpf;
		hook_look(program, c, kernel);
		if (!err)
			err = iterator_find_map(c, program, storage);
	}
	iterators_choose(c);
	return err;
}

static void detach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		bpf_link__destroy(c->programs[i].link);
		c->programs[i].link = NULL;
	}
}

/*
 * Not for a lack of privileges: EPERM where the kernel is built without or locked down, 524 (the
 * kernel's own ENOTSUPP) on arm64 before 6.4.
 */
static int note_refused(struct collector *c, int err)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		struct program *program = &c->programs[i];

		if (program->is_missing || !program->in_function)
			continue;
		snprintf(c->reason, sizeof(c->reason), "this kernel refuses %s: %s",
			 bpf_program__section_name(program->bpf),
			 err == -524 ? "not supported on this architecture" : strerror(-err));
		return -EOPNOTSUPP;
	}
	return err;
}

/* All or nothing: half of a pair of programs exports numbers that look right. */
static int attach(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		struct program *program = &c->programs[i];

		if (program->is_missing)
			continue;
		program->link = hook_attach(program);
		if (!program->link) {
			int err = -errno;
			const char *why =
				privilege_why(err, bpf_program__section_name(program->bpf));

			snprintf(c->reason, sizeof(c->reason), "cannot attach %s to %s: %s%s%s",
				 bpf_program__name(program->bpf), program->hook, strerror(-err),
				 *why ? ": " : "", why);
			detach(c);
			return *why || !program->in_function ? err : note_refused(c, err);
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
	int err = maps_prepare(collectors, c, storage);

	if (err)
		return err;
	variables_tell_facts(c, facts);
	maps_fit(c, facts);
	object_log_clear();
	hooks_loading(c);
	err = bpf_object__load(c->object);
	hooks_loading(NULL);
	if (err) {
		const char *why =
			*object_verifier_log() ? object_verifier_log() : privilege_why(err, NULL);

		bool explained = *why;

		if (!*why)
			why = object_log();
		snprintf(c->reason, sizeof(c->reason), "the kernel refuses it: %s%s%s",
			 strerror(-err), *why ? ": " : "", why);
		return explained || err != -EPERM ? err : note_refused(c, err);
	}
	maps_share(collectors, c);
	err = maps_reserve_rows(c);
	if (!err)
		err = variables_find(collectors, c);
	if (!err)
		maps_warm(c);
	return err ? err : attach(c);
}

/* Which hooks the kernel lacks, though no other program does their work. */
static void note_missing(struct collector *c)
{
	size_t used = 0, missing = 0, needed = 0;

	for (size_t i = 0; i < c->nr_programs; i++) {
		if (c->programs[i].is_optional || c->programs[i].is_nested)
			continue;
		needed++;
		if (!c->programs[i].is_missing)
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

/*
 * What only a missing program counts is not 0, but unknown: where an enum's value begins a
 * program's name (`mce` and `mce_error`) it loses its own, and fold.c shows no zeros for it.
 */
static void forget_values(struct collector *c)
{
	for (size_t i = 0; i < c->nr_programs; i++) {
		const char *name = bpf_program__name(c->programs[i].bpf);

		for (size_t k = 0; k < c->schema.nr_tables && c->programs[i].is_missing; k++)
			schema_forget_value(&c->schema.tables[k], name, strcspn(name, "_"));
	}
}

static void load_one(struct collectors *collectors, struct collector *c,
		     const struct node_facts *facts, bool storage)
{
	int err;

	c->state = COLLECTOR_OFF;
	if (!c->enabled)
		return;
	c->state = COLLECTOR_UP;
	err = find_programs(c, &collectors->kernel, storage);
	if (!err)
		err = variants_choose(c);
	if (!err && c->state == COLLECTOR_OFF) {
		log_debug("collector %s is off: %s", c->name, c->reason); /* --check tells */
		return;
	}
	if (!err) {
		note_missing(c);
		forget_values(c);
	}
	if (!err && c->state != COLLECTOR_DOWN)
		err = load(collectors, c, facts, storage);
	if (err) {
		c->state = COLLECTOR_DOWN;
		c->error = error_of(err);
		if (!*c->reason)
			snprintf(c->reason, sizeof(c->reason), "%s", strerror(-err));
	}
	if (c->state == COLLECTOR_UP && c->without)
		snprintf(c->reason, sizeof(c->reason),
			 "programs cannot hang on functions here, so not with what %s tells",
			 c->without);
	if (c->state == COLLECTOR_DOWN)
		log_error("collector %s is off: %s", c->name, c->reason);
	else if (c->state == COLLECTOR_PARTIAL)
		log_warn("collector %s: %s; the rest of it runs", c->name, c->reason);
}

int collectors_load(struct collectors *collectors, const struct node_facts *facts)
{
	bool storage;

	if (!collectors->kernel.types) {
		log_error("no BTF of the running kernel (/sys/kernel/btf/vmlinux): the programs "
			  "find the kernel's "
			  "fields by it; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount "
			  "sysfs");
		return -ENOENT;
	}
	storage = kernel_has_storage(collectors->kernel.types);
	collectors->maps_grow = maps_grow_safely(collectors->kernel.types);
	for (size_t i = 0; i < collectors->n; i++)
		load_one(collectors, &collectors->list[i], facts, storage);
	kernel_btf_close(&collectors->kernel);
#ifdef __GLIBC__
	malloc_trim(0); /* what libbpf needed on the way lies below something that stays */
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
		free(c->told);
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
	kernel_btf_close(&collectors->kernel);
	free(collectors->shared);
	free(collectors->list);
	*collectors = (struct collectors){ 0 };
}
