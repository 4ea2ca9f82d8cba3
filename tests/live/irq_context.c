/* SPDX-License-Identifier: GPL-2.0-only */
/* irq_context OBJECT: runs test_nested of objects/irq_context.bpf.c once; prints "WHAT NUMBER" lines. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum(struct bpf_object *object, const char *map, uint32_t key, size_t words, size_t word)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpus, words * 8), total = 0;

	if (!values || bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, map), &key, values))
		exit(1);
	for (int cpu = 0; cpu < cpus; cpu++)
		total += values[cpu * words + word];
	free(values);
	return total;
}

int main(int argc, char **argv)
{
	struct bpf_object *object = argc > 1 ? bpf_object__open_file(argv[1], NULL) : NULL;
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	uint64_t arguments[1] = { 0 }, hard = 0;
	struct bpf_program *program;
	uint32_t zero = 0;
	struct bpf_map *bss = NULL;
	static char data[4096];

	if (!object)
		return 1;
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, !strcmp(bpf_program__name(program), "test_nested"));
	if (bpf_object__load(object))
		return 1;
	opts.ctx_in = arguments;
	opts.ctx_size_in = sizeof(arguments);
	program = bpf_object__find_program_by_name(object, "test_nested");
	if (!program || bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return 1;
	bpf_object__for_each_map(bss, object)
		if (strstr(bpf_map__name(bss), ".bss"))
			break;
	if (!bss || bpf_map__value_size(bss) > sizeof(data) || bpf_map_lookup_elem(bpf_map__fd(bss), &zero, data))
		return 1;
	for (uint32_t irq = 7; irq < 10; irq++) {
		printf("hardirqs_%u %llu\n", irq, (unsigned long long)sum(object, "node___hardirq", irq + 1, 2, 0));
		hard += sum(object, "node___hardirq", irq + 1, 2, 1);
	}
	printf("hardirqs_other %llu\n", (unsigned long long)sum(object, "node___hardirq", 0, 2, 0));
	hard += sum(object, "node___hardirq", 0, 2, 1);
	printf("softirqs %llu\n", (unsigned long long)sum(object, "node___softirq", 3, 3, 0));
	printf("soft_ns %llu\n", (unsigned long long)sum(object, "node___softirq", 3, 3, 1));
	printf("hard_ns %llu\n", (unsigned long long)hard);
	/* the globals: what each table lost, and the time that all of it took, which is the largest */
	for (size_t i = 0; i < bpf_map__value_size(bss) / 8; i++)
		if (((uint64_t *)data)[i] > *arguments)
			*arguments = ((uint64_t *)data)[i];
	printf("elapsed_ns %llu\n", (unsigned long long)*arguments);
	return 0;
}
