/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attach_hook: the hook of a program: whether this kernel has it, its shape, loading for it.
 *
 * For programs at tracepoints, functions and iterators libbpf reads the kernel's whole BTF, in each
 * object anew, to find one number. Here it is known already (kernel_btf.h), so libbpf gets handlers
 * for these sections that pass it on: until a program is loaded, its type is one for which libbpf
 * reads nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "attach_parts.h"

struct hook_kind {
	const char *section, *prefix; /* SEC("section" "hook"), type "prefix" "hook" */
	uint32_t kind;
	enum bpf_attach_type attach;
	bool only_vmlinux; /* modules have none that programs could be written for */
};

static const struct hook_kind hook_kinds[] = {
	{ "tp_btf/", "btf_trace_", BTF_KIND_TYPEDEF, BPF_TRACE_RAW_TP, true },
	{ "iter/", "bpf_iter_", BTF_KIND_FUNC, BPF_TRACE_ITER, true },
	{ "fentry/", "", BTF_KIND_FUNC, BPF_TRACE_FENTRY, false },
	{ "fexit/", "", BTF_KIND_FUNC, BPF_TRACE_FEXIT, false },
};

/* The function of system call x has the architecture in its name: SEC("fentry/sys_x") is any's. */
#if defined(__x86_64__)
#define CALL_PREFIX "__x64_"
#elif defined(__aarch64__)
#define CALL_PREFIX "__arm64_"
#else
#define CALL_PREFIX ""
#endif

/* libbpf's handlers have no argument of the object's, so this waits here. Only one thread loads. */
static const struct collector *loading;

static const struct hook_kind *kind_of(const struct bpf_program *program)
{
	const char *section = bpf_program__section_name(program);

	for (size_t i = 0; i < sizeof(hook_kinds) / sizeof(*hook_kinds); i++)
		if (!strncmp(section, hook_kinds[i].section, strlen(hook_kinds[i].section)))
			return &hook_kinds[i];
	return NULL;
}

static uint32_t id_of(const struct hook_kind *kind, const char *hook,
		      const struct kernel_btf *kernel)
{
	bool call = !*kind->prefix && !strncmp(hook, "sys_", 4);

	return kernel_btf_id(kernel, call ? CALL_PREFIX : kind->prefix, hook, kind->kind);
}

/* Called by libbpf right before the system call, when it looks for nothing any more. */
static int prepare_load(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)cookie;
	for (size_t i = 0; loading && i < loading->nr_programs; i++)
		if (loading->programs[i].bpf == program && loading->programs[i].id)
			opts->attach_btf_id = loading->programs[i].id;
	if (!opts->attach_btf_id) /* else libbpf found it in a module, see hook_look() */
		return -ESRCH;
	return bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
}

int hooks_register(void)
{
	static bool registered; /* libbpf keeps pointers to handlers: they stay for good */

	for (size_t i = 0; i < sizeof(hook_kinds) / sizeof(*hook_kinds) && !registered; i++) {
		LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = prepare_load);
		int id = libbpf_register_prog_handler(hook_kinds[i].section,
						      BPF_PROG_TYPE_RAW_TRACEPOINT,
						      hook_kinds[i].attach, &opts);

		if (id < 0)
			return id;
	}
	registered = true;
	return 0;
}

void hooks_loading(const struct collector *c)
{
	loading = c;
}

/* The arguments' types, "sock,sk_buff,int": which of a hook's shapes this kernel has. */
static char *variant_of(const struct btf *kernel, const char *hook)
{
	const struct btf_type *t;
	char text[256];
	size_t used;
	int id;

	snprintf(text, sizeof(text), "btf_trace_%s", hook);
	id = btf__find_by_name_kind(kernel, text, BTF_KIND_TYPEDEF);
	t = id > 0 ? btf__type_by_id(kernel, id) : NULL;
	while (t && (btf_is_typedef(t) || btf_is_ptr(t) || btf_is_mod(t)))
		t = btf__type_by_id(kernel, t->type);
	used = 0;
	text[0] = 0;
	for (int i = 1; t && btf_is_func_proto(t) && i < btf_vlen(t) && used < sizeof(text); i++) {
		const struct btf_type *arg = btf__type_by_id(kernel, btf_params(t)[i].type);

		while (arg && (btf_is_ptr(arg) || btf_is_mod(arg)))
			arg = btf__type_by_id(kernel, arg->type);
		used += snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
				 arg ? btf__name_by_offset(kernel, arg->name_off) : "void");
	}
	return strdup(text);
}

/* A user's object may hang on a module's function: libbpf, which searches those, is to find it. */
static int find_in_modules(struct program *program)
{
	int err = bpf_program__set_attach_target(program->bpf, 0, program->hook);

	return err ? err : bpf_program__set_type(program->bpf, BPF_PROG_TYPE_TRACING);
}

void hook_look(struct program *program, const struct collector *c, const struct kernel_btf *kernel)
{
	const char *section = bpf_program__section_name(program->bpf);
	const struct hook_kind *kind = kind_of(program->bpf);

	/* libbpf cuts the `?` of SEC("?...") off and leaves such a program switched off */
	program->is_optional = !bpf_program__autoload(program->bpf);
	program->is_nested = strstr(bpf_program__name(program->bpf), "___nested");
	program->hook = strchr(section, '/') ? strchr(section, '/') + 1 : section;
	program->is_tracing = kind;
	if (!kind)
		return; /* a user's own program of another kind: libbpf knows */
	program->is_iterator = kind->attach == BPF_TRACE_ITER;
	program->in_function = kind->kind == BTF_KIND_FUNC && !program->is_iterator;
	program->id = id_of(kind, program->hook, kernel);
	program->is_missing = !program->id;
	if (program->is_missing && c->source && !kind->only_vmlinux && !program->is_optional)
		program->is_missing = find_in_modules(program) != 0;
	if (kind->attach == BPF_TRACE_RAW_TP && !program->is_missing)
		program->variant = variant_of(kernel->types, program->hook);
	bpf_program__set_autoload(program->bpf, !program->is_missing);
}

struct bpf_link *hook_attach(const struct program *program)
{
	if (program->is_iterator)
		return iterator_attach(program);
	return program->is_tracing ? bpf_program__attach_trace(program->bpf)
				   : bpf_program__attach(program->bpf);
}
