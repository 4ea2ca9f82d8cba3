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
	id = btf__find_by_name_kind(kernel, type,
				    program->is_iterator ? BTF_KIND_STRUCT : BTF_KIND_TYPEDEF);
	program->is_missing = id <= 0;
	if (!program->is_missing && !program->is_iterator)
		program->variant = variant_of(kernel, id);
	bpf_program__set_autoload(program->bpf, !program->is_missing);
}

static int find_programs(struct collector *c, const struct btf *kernel)
{
	struct bpf_program *bpf;
	size_t n = 0;

	bpf_object__for_each_program(bpf, c->object) n++;
	c->programs = calloc(n + 1, sizeof(*c->programs));
	if (!c->programs)
		return -ENOMEM;
	bpf_object__for_each_program(bpf, c->object)
	{
		c->programs[c->nr_programs].bpf = bpf;
		look_for_hook(&c->programs[c->nr_programs++], kernel);
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
			const char *why =
				privilege_why(err, bpf_program__section_name(program->bpf));

			snprintf(c->reason, sizeof(c->reason), "cannot attach %s to %s: %s%s%s",
				 bpf_program__name(program->bpf), program->hook, strerror(-err),
				 *why ? ": " : "", why);
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
	int err = maps_prepare(collectors, c, storage);

	if (err)
		return err;
	maps_tell_facts(c, facts);
	object_log_clear();
	err = bpf_object__load(c->object);
	if (err) {
		const char *why =
			*object_verifier_log() ? object_verifier_log() : privilege_why(err, NULL);

		if (!*why)
			why = object_log();
		snprintf(c->reason, sizeof(c->reason), "the kernel refuses it: %s%s%s",
			 strerror(-err), *why ? ": " : "", why);
		return err;
	}
	maps_share(collectors, c);
	err = maps_reserve_rows(c);
	if (!err)
		err = maps_find_variables(collectors, c);
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

static void load_one(struct collectors *collectors, struct collector *c,
		     const struct node_facts *facts, bool storage)
{
	int err;

	c->state = COLLECTOR_OFF;
	if (!c->enabled)
		return;
	c->state = COLLECTOR_UP;
	err = find_programs(c, collectors->kernel);
	if (!err)
		err = variants_choose(c, collectors->kernel);
	if (!err && c->state == COLLECTOR_OFF) {
		log_debug("collector %s is off: %s", c->name, c->reason); /* --check tells */
		return;
	}
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
		log_error("no BTF of the running kernel (/sys/kernel/btf/vmlinux): the programs "
			  "find the kernel's "
			  "fields by it; use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or mount "
			  "sysfs");
		return -ENOENT;
	}
	storage = kernel_has_storage(collectors->kernel);
	for (size_t i = 0; i < collectors->n; i++)
		load_one(collectors, &collectors->list[i], facts, storage);
	btf__free(collectors->kernel); /* 6 MB that nobody needs again */
	collectors->kernel = NULL;
#ifdef __GLIBC__
	malloc_trim(0); /* nor what libbpf needed on the way: 20 MB, most of it below something that
			   stays */
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
