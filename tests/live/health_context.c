/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * health_context OBJECT [severity]: runs the raw tracepoints of objects/health_context.bpf.c with arguments
 * that the kernel's tracepoints would bring, and prints what its table holds then and what it should:
 * "SOURCE SEVERITY GOT WANT" a line. With `severity`, this kernel's arm_event brings one.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CORRECTED, DEFERRED, UNCORRECTED, FATAL, UNKNOWN, SEVERITIES };
static const char *const severities[] = { "corrected", "deferred", "uncorrected", "fatal", "unknown" };
static const char *const sources[] = { "mce", "edac", "aer", "arm", "cper" };
#define SOURCES 5

/* The upper half of the register that brings an int is anything. */
#define GARBAGE (0xdeadULL << 32)

/* Numbers from the kernel's headers: linux/edac.h, linux/aer.h, acpi/ghes.h. */
static const struct {
	const char *source;
	unsigned int argument, value, severity, errors;
} cases[] = {
	{ "edac", 0, 0, CORRECTED, 3 },	 { "edac", 0, 1, UNCORRECTED, 4 }, { "edac", 0, 2, DEFERRED, 5 },
	{ "edac", 0, 3, FATAL, 6 },	 { "edac", 0, 4, CORRECTED, 7 },   { "edac", 0, 7, UNKNOWN, 8 },
	{ "aer", 2, 0, UNCORRECTED, 1 }, { "aer", 2, 1, FATAL, 1 },	   { "aer", 2, 2, CORRECTED, 1 },
	{ "aer", 2, 3, UNKNOWN, 1 },	 { "cper", 3, 0, CORRECTED, 1 },   { "cper", 3, 1, CORRECTED, 1 },
	{ "cper", 3, 2, UNCORRECTED, 1 }, { "cper", 3, 3, FATAL, 1 },	   { "cper", 3, 9, UNKNOWN, 1 },
	{ "arm", 7, 0, CORRECTED, 1 },	 { "arm", 7, 1, CORRECTED, 1 },	   { "arm", 7, 2, UNCORRECTED, 1 },
	{ "arm", 7, 3, FATAL, 1 },	 { "arm", 7, 9, UNKNOWN, 1 },
};
#define CASES (sizeof(cases) / sizeof(*cases))

static int source_of(const char *name)
{
	int i = 0;

	while (strcmp(sources[i], name))
		i++;
	return i;
}

int main(int argc, char **argv)
{
	uint64_t want[SOURCES][SEVERITIES] = { 0 }, got[SEVERITIES];
	struct bpf_object *object = argc > 1 ? bpf_object__open_file(argv[1], NULL) : NULL;
	struct bpf_program *program;

	if (!object)
		return 1;
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, !strncmp(bpf_program__section_name(program), "raw_tp/", 7));
	if (bpf_object__load(object))
		return 1;
	for (size_t i = 0; i < CASES; i++) {
		uint64_t arguments[12] = { 0 };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arguments, .ctx_size_in = sizeof(arguments));
		int old_arm = argc < 3 && !strcmp(cases[i].source, "arm");
		char name[32];

		snprintf(name, sizeof(name), "test_%s", cases[i].source);
		program = bpf_object__find_program_by_name(object, name);
		arguments[cases[i].argument] = GARBAGE | cases[i].value;
		if (!strcmp(cases[i].source, "edac"))
			arguments[3] = GARBAGE | cases[i].errors;
		if (!program || bpf_prog_test_run_opts(bpf_program__fd(program), &opts)) {
			perror(name);
			return 1;
		}
		want[source_of(cases[i].source)][old_arm ? UNKNOWN : cases[i].severity] += cases[i].errors;
	}
	for (uint32_t source = 0; source < SOURCES; source++) {
		int map = bpf_object__find_map_fd_by_name(object, "node_hardware");

		if (bpf_map_lookup_elem(map, &source, got))
			return 1;
		for (int k = 0; k < SEVERITIES; k++)
			printf("%s %s %llu %llu\n", sources[source], severities[k], (unsigned long long)got[k],
			       (unsigned long long)want[source][k]);
	}
	return 0;
}
