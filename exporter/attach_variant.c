/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attach_variant: programs that hang on functions, where this kernel lets them, or else those that
 * stand in for them (bpf/metrics.bpf.h says how an object declares both).
 *
 * Only trying tells: functions cannot be traced on arm64 before 6.4, which refuses at attach and
 * not at load, nor where the kernel was built without it, or forbids it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "attach_parts.h"
#include "log.h"

static bool hangs_on_function(const struct program *p)
{
	return p->is_optional && p->in_function;
}

/* "" or "_hot", or NULL when it does not stand in. */
static const char *stands_in(const struct program *p)
{
	static const char flavour[] = "___no_fentry";
	const char *found = strstr(bpf_program__name(p->bpf), flavour);

	return found ? found + sizeof(flavour) - 1 : NULL;
}

/* Whether an empty program can be loaded for this function, and attached. */
static bool can_trace(int id)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY,
		    .attach_btf_id = id);
	int program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", nothing, 2, &opts);
	int link = program < 0 ? -1 : bpf_raw_tracepoint_open(NULL, program);

	log_debug("programs can%s hang on functions here%s%s", link < 0 ? "not" : "",
		  link < 0 ? ": " : "", link < 0 ? strerror(errno) : "");
	if (link >= 0)
		close(link);
	if (program >= 0)
		close(program);
	return link >= 0;
}

/* All of the object's functions are there, and the first one lets a program in. */
static bool functions_work(const struct collector *c)
{
	int first = 0;

	for (size_t i = 0; i < c->nr_programs; i++) {
		const struct program *p = &c->programs[i];

		if (!hangs_on_function(p))
			continue;
		if (!p->id) {
			log_debug("%s: this kernel has no function %s", c->name, p->hook);
			return false;
		}
		if (!first)
			first = p->id;
	}
	return first && can_trace(first);
}

static void leave_out(struct program *p)
{
	p->is_missing = true;
	bpf_program__set_autoload(p->bpf, false);
}

int variants_choose(struct collector *c)
{
	bool *told = variables_constant(c->object, "functions_traced", sizeof(*told));
	bool any = false, stand_in = false, functions;

	for (size_t i = 0; i < c->nr_programs; i++) {
		any |= hangs_on_function(&c->programs[i]);
		stand_in |= stands_in(&c->programs[i]) != NULL;
	}
	if (!any)
		return 0;
	functions = functions_work(c);
	if (told)
		*told = functions;
	for (size_t i = 0; i < c->nr_programs; i++) {
		struct program *p = &c->programs[i];

		if (hangs_on_function(p)) {
			if (functions)
				continue;
			leave_out(p);
			if (!stand_in && !c->without)
				c->without = p->hook;
		} else if (stands_in(p) && !functions && !c->asked_for &&
			   !strcmp(stands_in(p), "_hot")) {
			c->state = COLLECTOR_OFF;
			snprintf(c->reason, sizeof(c->reason),
				 "programs cannot hang on functions here, and %s would slow down "
				 "everything else; --collector.%s has it all the same",
				 p->hook, c->name);
		} else if (stands_in(p) && functions) {
			p->is_optional = true; /* nothing lacks because it does */
			leave_out(p);
		}
	}
	return 0;
}
