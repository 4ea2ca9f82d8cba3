/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel_btf: a cut that answers a question of CO-RE otherwise than the whole: a program that reads
 * the wrong field, or takes the branch of another kernel. Each built-in object is relocated twice,
 * for each kernel of tests/contract and the running one: its instructions must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "embedded.h"
#include "kernel_btf.h"
#include "kernel_btf_parts.h"
#include "log.h"
#include "object.h"

#define KERNELS "tests/contract/*.btf"

/* ---- what libbpf makes of a program, without loading it ---- */

static struct bpf_insn *seen;
static size_t nr_seen;

static int look(struct bpf_program *program, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)opts;
	(void)cookie;
	nr_seen = bpf_program__insn_cnt(program);
	seen = calloc(nr_seen, sizeof(*seen));
	memcpy(seen, bpf_program__insns(program), nr_seen * sizeof(*seen));
	return -ECANCELED;
}

static void catch_programs(void)
{
	static const char *const sections[] = { "tp_btf/", "iter/", "fentry/", "fexit/" };
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = look);

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		assert_true(libbpf_register_prog_handler(sections[i], BPF_PROG_TYPE_RAW_TRACEPOINT,
							 BPF_TRACE_RAW_TP, &opts) > 0);
}

static struct bpf_object *open_object(const struct embedded_object *e, const char *kernel)
{
	char why[512] = "";
	struct bpf_object *object = object_open_bytes(e->name, e->data, e->size, kernel, why, sizeof(why));

	if (!object)
		fail_msg("%s: %s", e->name, why);
	return object;
}

/* The n-th program of an object, relocated by the types in the file `kernel`; NULL: there are no more. */
static const char *relocate(const struct embedded_object *e, const char *kernel, size_t n, char *name, size_t size)
{
	struct bpf_object *object = open_object(e, kernel);
	struct bpf_program *program;
	struct bpf_map *map;
	bool found = false;
	size_t i = 0;

	nr_seen = 0;
	seen = NULL;
	bpf_object__for_each_map(map, object)
		bpf_map__set_autocreate(map, false);
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, i == n);
		if (i++ != n)
			continue;
		found = true;
		snprintf(name, size, "%s", bpf_program__name(program));
	}
	if (found)
		bpf_object__load(object);
	bpf_object__close(object);
	return found ? name : NULL;
}

/* ---- the whole and the cut ---- */

static void cut_for_all(const char *path, struct kernel_btf *kernel)
{
	struct bpf_object *objects[64];
	size_t n = 0;

	kernel_btf_open(kernel);
	assert_true(kernel->file >= 0);
	for (const struct embedded_object *e = embedded_objects; e->name; e++)
		objects[n++] = open_object(e, kernel->path);
	assert_int_equal(kernel_btf_read(kernel, path, objects, n), 0);
	while (n)
		bpf_object__close(objects[--n]);
}

static size_t file_size(const char *path)
{
	FILE *in = fopen(path, "re");
	long size;

	assert_non_null(in);
	assert_int_equal(fseek(in, 0, SEEK_END), 0);
	size = ftell(in);
	fclose(in);
	return size;
}

static size_t compare(const char *path)
{
	struct kernel_btf kernel;
	size_t programs = 0;

	cut_for_all(path, &kernel);
	for (const struct embedded_object *e = embedded_objects; e->name; e++) {
		char name[128];

		for (size_t i = 0; relocate(e, path, i, name, sizeof(name)); i++, programs++) {
			struct bpf_insn *whole = seen;
			size_t n = nr_seen;

			if (!n)
				fail_msg("%s: %s by %s was not relocated: %s", e->name, name, path, object_log());
			relocate(e, kernel.path, i, name, sizeof(name));
			if (nr_seen != n || memcmp(whole, seen, n * sizeof(*seen)))
				fail_msg("%s: %s differs between %s and its cut", e->name, name, path);
			free(whole);
			free(seen);
		}
	}
	print_message("%s: %zu programs, %zu bytes of types, %zu in the cut\n", path, programs, file_size(path),
		      file_size(kernel.path));
	kernel_btf_close(&kernel);
	return programs;
}

/* Bug: see above. */
static void test_relocations(void **state)
{
	glob_t found;

	(void)state;
	if (geteuid())
		skip(); /* libbpf makes sure that it could load first */
	assert_int_equal(glob(KERNELS, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		assert_true(compare(found.gl_pathv[i]) > 10);
	globfree(&found);
	if (!access(KERNEL_BTF, R_OK))
		assert_true(compare(KERNEL_BTF) > 10);
}

/* Bug: a program is attached to what has its hook's number in the cut. */
static void test_ids(void **state)
{
	static const struct {
		const char *prefix, *name;
		uint32_t kind;
	} types[] = { { "btf_trace_", "sched_switch", BTF_KIND_TYPEDEF },
		      { "btf_trace_", "tcp_send_reset", BTF_KIND_TYPEDEF },
		      { "", "task_struct", BTF_KIND_STRUCT },
		      { "bpf_iter__", "task", BTF_KIND_STRUCT } };
	struct kernel_btf kernel;
	glob_t found;

	(void)state;
	assert_int_equal(glob(KERNELS, 0, NULL, &found), 0);
	for (size_t k = 0; k < found.gl_pathc; k++) {
		struct btf *whole = btf__parse(found.gl_pathv[k], NULL);

		cut_for_all(found.gl_pathv[k], &kernel);
		for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
			char name[64];

			snprintf(name, sizeof(name), "%s%s", types[i].prefix, types[i].name);
			assert_int_equal(kernel_btf_id(&kernel, types[i].prefix, types[i].name, types[i].kind),
					 btf__find_by_name_kind(whole, name, types[i].kind));
		}
		assert_int_equal(kernel_btf_id(&kernel, "btf_trace_", "no_such_hook", BTF_KIND_TYPEDEF), 0);
		kernel_btf_close(&kernel);
		btf__free(whole);
	}
	globfree(&found);
}

/* ---- the reader ---- */

static struct btf *cut(const void *data, size_t size, const char *name, uint32_t kind)
{
	struct names names = { 0 };
	struct btf *btf;
	uint32_t *ids;

	assert_int_equal(names_add(&names, name, kind), 0);
	btf = kernel_btf_cut(data, size, &names, &ids);
	free(ids);
	free(names.slots);
	return btf;
}

/*
 *	struct inner { int x; };  enum level { LOW = -1, HIGH = 7 };
 *	struct far { int y; };    struct outer { struct inner in; struct far *away; int bits : 3; };
 *	typedef void (*call)(struct far *, enum level);
 */
static struct btf *sample(void)
{
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED), inner, far, away, level, proto;

	inner = btf__add_struct(btf, "inner", 4);
	btf__add_field(btf, "x", number, 0, 0);
	far = btf__add_struct(btf, "far", 4);
	btf__add_field(btf, "y", number, 0, 0);
	away = btf__add_ptr(btf, far);
	level = btf__add_enum(btf, "level", 4);
	btf__add_enum_value(btf, "LOW", -1);
	btf__add_enum_value(btf, "HIGH", 7);
	btf__add_struct(btf, "outer", 24);
	btf__add_field(btf, "in", inner, 0, 0);
	btf__add_field(btf, "away", away, 64, 0);
	btf__add_field(btf, "bits", number, 128, 3);
	proto = btf__add_func_proto(btf, 0);
	btf__add_func_param(btf, "", away);
	btf__add_func_param(btf, "", level);
	btf__add_typedef(btf, "call", btf__add_ptr(btf, proto));
	return btf;
}

static const struct btf_type *named(const struct btf *btf, const char *name, uint32_t kind)
{
	int id = btf__find_by_name_kind(btf, name, kind);

	return id > 0 ? btf__type_by_id(btf, id) : NULL;
}

/* Bug: a structure without what lies in it, or with all that can be reached from it. */
static void test_structure(void **state)
{
	struct btf *whole = sample(), *small;
	const struct btf_type *t;
	uint32_t size;
	const void *data = btf__raw_data(whole, &size);

	(void)state;
	small = cut(data, size, "outer___flavour", BTF_KIND_STRUCT);
	assert_non_null(small);
	t = named(small, "outer", BTF_KIND_STRUCT);
	assert_non_null(t);
	assert_int_equal(t->size, 24);
	assert_int_equal(btf_vlen(t), 3);
	assert_int_equal(btf_member_bit_offset(t, 1), 64);
	assert_int_equal(btf_member_bit_offset(t, 2), 128);
	assert_int_equal(btf_member_bitfield_size(t, 2), 3);
	assert_true(btf_is_ptr(btf__type_by_id(small, btf_members(t)[1].type)));
	assert_int_equal(btf_vlen(named(small, "inner", BTF_KIND_STRUCT)), 1);
	assert_null(named(small, "far", BTF_KIND_STRUCT));
	assert_null(named(small, "call", BTF_KIND_TYPEDEF));
	btf__free(small);
	btf__free(whole);
}

/* Bug: of two prototypes the wrong one is there, as an argument lost its kind. */
static void test_prototype(void **state)
{
	struct btf *whole = sample(), *small;
	const struct btf_type *t;
	uint32_t size;
	const void *data = btf__raw_data(whole, &size);

	(void)state;
	small = cut(data, size, "call", BTF_KIND_TYPEDEF);
	assert_non_null(small);
	t = btf__type_by_id(small, named(small, "call", BTF_KIND_TYPEDEF)->type);
	assert_true(btf_is_ptr(t));
	t = btf__type_by_id(small, t->type);
	assert_true(btf_is_func_proto(t));
	assert_int_equal(btf_vlen(t), 2);
	t = named(small, "far", BTF_KIND_STRUCT);
	assert_non_null(t);
	assert_int_equal(t->size, 4);
	assert_int_equal(btf_vlen(t), 0);
	t = named(small, "level", BTF_KIND_ENUM);
	assert_non_null(t);
	assert_int_equal(btf_vlen(t), 2);
	assert_int_equal(btf_enum(t)[0].val, -1);
	assert_int_equal(btf_enum(t)[1].val, 7);
	btf__free(small);
	btf__free(whole);
}

/* Bug: bytes that are no BTF, or are cut short anywhere, are read beyond their end. */
static void test_broken(void **state)
{
	struct btf *whole = sample();
	uint32_t size;
	const void *data = btf__raw_data(whole, &size);

	(void)state;
	for (uint32_t n = 0; n < size; n++) {
		char *part = malloc(n ? n : 1);

		memcpy(part, data, n);
		assert_null(cut(part, n, "outer", BTF_KIND_STRUCT));
		assert_int_equal(errno, EPROTO);
		free(part);
	}
	for (uint32_t at = 0; at < size; at++) {
		char *changed = malloc(size);

		memcpy(changed, data, size);
		changed[at] ^= 0x7f;
		btf__free(cut(changed, size, "outer", BTF_KIND_STRUCT)); /* anything, but within its bytes */
		free(changed);
	}
	btf__free(whole);
}

/* Bug: a kind of type that came later is skipped with a guess of its size, or the exporter crashes. */
static void test_unknown_kind(void **state)
{
	struct btf *whole = sample();
	struct kernel_btf kernel;
	char path[] = "/tmp/bpf_exporter_btf_XXXXXX";
	uint32_t size, *info;
	const void *data = btf__raw_data(whole, &size);
	char *changed = malloc(size);
	int fd = mkstemp(path);

	(void)state;
	memcpy(changed, data, size);
	info = (uint32_t *)(changed + sizeof(struct btf_header)) + 1;
	*info |= 31U << 24;
	assert_null(cut(changed, size, "outer", BTF_KIND_STRUCT));
	assert_int_equal(errno, EPROTO);
	assert_int_equal(write(fd, changed, size), size);
	kernel_btf_open(&kernel);
	assert_true(kernel_btf_read(&kernel, path, NULL, 0) < 0); /* this libbpf does not know it either */
	assert_null(kernel.types);
	kernel_btf_close(&kernel);
	/* and one that all know */
	assert_int_equal(pwrite(fd, data, size, 0), size);
	kernel_btf_open(&kernel);
	assert_int_equal(kernel_btf_read(&kernel, path, NULL, 0), 0);
	assert_non_null(kernel.types);
	kernel_btf_close(&kernel);
	close(fd);
	unlink(path);
	free(changed);
	btf__free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_structure), cmocka_unit_test(test_prototype),
					    cmocka_unit_test(test_broken), cmocka_unit_test(test_unknown_kind), cmocka_unit_test(test_ids),
					    cmocka_unit_test(test_relocations) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	object_log_start();
	catch_programs();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
