/* SPDX-License-Identifier: GPL-2.0-only */
/* object: files that are no objects, or not to be trusted, each with the line that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/libbpf.h>

#include "log.h"
#include "object.h"

#define GOOD	 TEST_OBJECTS "/good.bpf.o"
#define EXPECTED "; expected what `clang -target bpf -g -c` makes"
#define NO_FILE	 "; expected an object file (x.bpf.o)"
#define WRITABLE "could be written by others than root; its programs would run in the kernel: " \
		 "chown root it and its folder, and chmod go-w both"

static char dir[64], file[96];
static unsigned char *good;
static size_t good_size;

static int setup(void **state)
{
	FILE *in = fopen(GOOD, "re");

	(void)state;
	strcpy(dir, "/tmp/bpf_exporter_object_XXXXXX");
	if (!in || !mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/x.bpf.o", dir);
	good = malloc(1 << 20);
	good_size = fread(good, 1, 1 << 20, in);
	fclose(in);
	return good_size < 1000;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	free(good);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void write_file(const void *data, size_t size)
{
	FILE *out;

	unlink(file);
	out = fopen(file, "we");
	assert_non_null(out);
	assert_int_equal(fwrite(data, 1, size, out), size);
	fclose(out);
	assert_int_equal(chmod(file, 0644), 0);
}

static void expect(const char *path, bool trusted, const char *want)
{
	char why[512] = "";
	struct bpf_object *object = object_open_file(path, trusted, why, sizeof(why));

	bpf_object__close(object);
	if (!object != !!want || strcmp(why, want ? want : ""))
		fail_msg("%s: got %p \"%s\", expected \"%s\"", path, (void *)object, why, want ? want : "");
}

/* Bug: a wrong file ends in "Invalid argument", a crash, or a hang (a fifo that nobody writes to). */
static void test_no_objects(void **state)
{
	static const char text[] = "#!/bin/sh\necho this is a script and longer than an ELF header, which has 64 bytes\n";
	char fifo[96];

	(void)state;
	expect("/nonexistent.bpf.o", false, "cannot be read: No such file or directory" NO_FILE);
	expect(dir, false, "is not a file" NO_FILE);
	expect("/dev/null", false, "is not a file" NO_FILE);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	expect(fifo, false, "is not a file" NO_FILE);
	write_file("", 0);
	expect(file, false, "is empty" EXPECTED);
	write_file("\177ELF", 4);
	expect(file, false, "is not an ELF object" EXPECTED);
	write_file(text, sizeof(text));
	expect(file, false, "is not an ELF object" EXPECTED);
}

/* Bug: an object for another machine, or of the other byte order, goes to libbpf. */
static void test_other_machines(void **state)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)good;

	(void)state;
	write_file(good, good_size);
	expect(file, false, NULL);
	header->e_machine = EM_X86_64;
	write_file(good, good_size);
	expect(file, false, "is not a BPF object" EXPECTED);
	header->e_machine = EM_BPF;
	header->e_ident[EI_DATA] = ELFDATA2MSB;
	write_file(good, good_size);
	expect(file, false, "is not a BPF object" EXPECTED);
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_ident[EI_CLASS] = ELFCLASS32;
	write_file(good, good_size);
	expect(file, false, "is not a BPF object" EXPECTED);
}

/* Bug: a copy that was cut off (a full disk) crashes libelf or says nothing useful. */
static void test_truncated(void **state)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)good;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(good + header->e_shoff);

	(void)state;
	for (size_t size = 1; size < sizeof(*header); size += 7) {
		write_file(good, size);
		expect(file, false, "is not an ELF object" EXPECTED);
	}
	for (int i = 0; i < header->e_shnum; i++)
		for (int off = -1; off <= 1; off++) {
			size_t size = sections[i].sh_offset + off;

			if (size < sizeof(*header) || size >= good_size)
				continue;
			write_file(good, size);
			expect(file, false, "is truncated" EXPECTED);
		}
	for (size_t size = header->e_shoff; size < good_size; size += sizeof(*sections) / 2) {
		write_file(good, size);
		expect(file, false, "is truncated" EXPECTED);
	}
}

/* Bug: offsets and sizes that lie about the file lead libelf out of it; ASan and a crash would tell. */
static void test_lies(void **state)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)good;
	Elf64_Shdr *sections = (Elf64_Shdr *)(good + header->e_shoff);
	static const uint64_t lies[] = { UINT64_MAX, UINT64_MAX - 63, INT64_MAX, 1ULL << 32 };
	uint64_t true_offset = header->e_shoff;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		header->e_shoff = lies[i];
		write_file(good, good_size);
		expect(file, false, "is truncated" EXPECTED);
		header->e_shoff = true_offset;
		for (int k = 1; k < header->e_shnum; k++) {
			Elf64_Shdr right = sections[k];

			if (right.sh_type == SHT_NOBITS)
				continue; /* takes no room in the file */
			sections[k].sh_size = lies[i];
			write_file(good, good_size);
			expect(file, false, "is truncated" EXPECTED);
			sections[k] = right;
			sections[k].sh_offset = lies[i];
			write_file(good, good_size);
			expect(file, false, "is truncated" EXPECTED);
			sections[k] = right;
		}
	}
	header->e_shnum = 0;
	write_file(good, good_size);
	assert_null(object_open_bytes("x", good, good_size, "/", (char[8]){ 0 }, 8));
}

/* Bug: whoever can write a file or a folder runs programs in the kernel. */
static void test_trust(void **state)
{
	(void)state;
	if (geteuid()) {
		skip(); /* only root can give files away */
		return;
	}
	write_file(good, good_size);
	expect(file, true, NULL);
	assert_int_equal(chmod(file, 0664), 0);
	expect(file, true, WRITABLE);
	expect(file, false, NULL);
	assert_int_equal(chmod(file, 0646), 0);
	expect(file, true, WRITABLE);
	assert_int_equal(chmod(file, 0644), 0);
	assert_int_equal(chown(file, 1000, 0), 0);
	expect(file, true, WRITABLE);
	assert_int_equal(chown(file, 0, 1000), 0);
	expect(file, true, NULL); /* a group that may not write */
	assert_int_equal(chmod(dir, 0775), 0);
	expect(file, true, WRITABLE);
	assert_int_equal(chmod(dir, 0757), 0);
	expect(file, true, WRITABLE);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chown(dir, 1000, 0), 0);
	expect(file, true, WRITABLE);
	assert_int_equal(chown(dir, 0, 0), 0);
	expect(file, true, NULL);
}

/* Bug: a collector's name with a suffix, or none; libbpf's words lost. */
static void test_names(void **state)
{
	static const char *const cases[][2] = { { "/x/y/tcp.bpf.o", "tcp" }, { "tcp.bpf.o", "tcp" },
						{ "tcp", "tcp" }, { "/x.d/tcp", "tcp" }, { "/x/.o", "" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *name = object_name(cases[i][0]);

		assert_string_equal(name, cases[i][1]);
		free(name);
	}
	expect(TEST_OBJECTS "/no_btf_maps.bpf.o", false,
	       "cannot be opened: BTF is required, but is missing or corrupted.");
	assert_string_equal(object_log(), "BTF is required, but is missing or corrupted.");
	object_log_clear();
	assert_string_equal(object_log(), "");
	assert_string_equal(object_verifier_log(), "");
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_no_objects), T(test_other_machines), T(test_truncated),
					    T(test_lies), T(test_trust), T(test_names) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	object_log_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
