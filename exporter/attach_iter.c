/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attach_iter: iterators over maps (bpf/metrics.bpf.h says how one names its map), and what stands
 * in for them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "attach_parts.h"

static bool iterates_over_map(const char *section)
{
	return !strcmp(section, "iter/bpf_sk_storage_map") || !strcmp(section, "iter/bpf_map_elem");
}

int iterator_find_map(struct collector *c, struct program *program, bool storage)
{
	const char *name = bpf_program__name(program->bpf), *flavour = strstr(name, "___");

	if (!iterates_over_map(bpf_program__section_name(program->bpf)))
		return 0;
	if (flavour)
		program->over = bpf_object__find_map_by_name(c->object, flavour + 3);
	if (!program->over) {
		snprintf(c->reason, sizeof(c->reason),
			 "program %s: which map does it iterate over? Call it x___MAP", name);
		return -EINVAL;
	}
	/* the iterator is older (5.9) than what could put something into its map */
	if (bpf_map__type(program->over) == BPF_MAP_TYPE_SK_STORAGE && !storage) {
		program->is_missing = true;
		bpf_program__set_autoload(program->bpf, false);
	}
	return 0;
}

/* Tries it with the shortest program; the reason does not matter. */
static bool kernel_refuses(const struct program *program)
{
	static const struct bpf_insn nothing[] = { { .code = 0xb7 }, { .code = 0x95 } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_ITER,
		    .attach_btf_id = program->id);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", nothing, 2, &opts);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

void iterators_choose(struct collector *c)
{
	bool has_stand_in = false, refused = false;

	for (size_t i = 0; i < c->nr_programs; i++)
		has_stand_in |= c->programs[i].is_iterator && c->programs[i].is_optional &&
				!c->programs[i].is_missing;
	for (size_t i = 0; i < c->nr_programs && has_stand_in; i++) {
		struct program *program = &c->programs[i];

		if (!program->over || program->is_missing || !kernel_refuses(program))
			continue;
		refused = program->is_missing = program->is_optional = true;
		bpf_program__set_autoload(program->bpf, false);
	}
	for (size_t i = 0; i < c->nr_programs && !refused; i++)
		if (c->programs[i].is_iterator && c->programs[i].is_optional) {
			c->programs[i].is_missing = true;
			bpf_program__set_autoload(c->programs[i].bpf, false);
		}
}

struct bpf_link *iterator_attach(const struct program *program)
{
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));

	if (!program->over)
		return bpf_program__attach_iter(program->bpf, NULL);
	info.map.map_fd = bpf_map__fd(program->over);
	return bpf_program__attach_iter(program->bpf, &opts);
}
