# The unit tests: each tests/unit/X_test.c is a program, linked with the exporter's stages.
# SAN picks the sanitizers; the snapshot's own test also runs under ThreadSanitizer, gzip's with zlib alone.
SAN ?= address,undefined
san_dir    := $(BUILD)/san
san_stages := $(patsubst exporter/%.c,$(san_dir)/%.o,$(filter-out exporter/main.c,$(sort $(wildcard exporter/*.c))))
unit_tests := $(patsubst tests/unit/%.c,$(san_dir)/%,$(sort $(wildcard tests/unit/*_test.c)))
# objects for the tests to read; bad.bpf.c makes one of each of its cases
bad_cases    := $(shell sed -n 's/^\#ifdef \([a-z_0-9]*\)$$/\1/p' tests/unit/objects/bad.bpf.c)
test_objects := $(patsubst tests/unit/objects/%.c,$(san_dir)/objects/%.o,\
		$(filter-out %/bad.bpf.c,$(sort $(wildcard tests/unit/objects/*.bpf.c)))) \
		$(bad_cases:%=$(san_dir)/objects/bad_%.bpf.o)
san_flags  := -std=gnu11 -O1 -g -fno-omit-frame-pointer -D_GNU_SOURCE -iquote exporter -iquote bpf -iquote $(BUILD) -iquote tests/unit \
	-DTEST_OBJECTS='"$(san_dir)/objects"' $(WARN) $(FEATURES)

.PHONY: unit
unit: $(unit_tests) $(test_objects) $(san_dir)/render_schema $(BUILD)/tsan/snapshot_test $(BUILD)/zlib/gzip_test ## build the unit tests (make check runs them)

$(san_dir)/%.o: exporter/%.c | $(BUILD)/revision.h
	$(say) SAN $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(san_flags) -fsanitize=$(SAN) -MMD -MP -c $< -o $@

$(san_dir)/%_test: tests/unit/%_test.c $(san_stages) $(BUILD)/embedded.o
	$(say) TEST $@
	$(Q)$(CC) $(san_flags) -fsanitize=$(SAN) -MMD -MP $< $(san_stages) $(BUILD)/embedded.o -o $@ \
		$(test_ldflags) -lcmocka $(LDLIBS) -lm

$(san_dir)/fold_random_test: test_ldflags := -Wl,--wrap=calloc,--wrap=malloc,--wrap=realloc,--wrap=reallocarray

$(san_dir)/poll_test: test_ldflags := -Wl,--wrap=calloc,--wrap=malloc,--wrap=realloc,--wrap=reallocarray \
	-Wl,--wrap=bpf_map__fd,--wrap=bpf_map_lookup_batch,--wrap=bpf_map_lookup_and_delete_elem,--wrap=bpf_map_update_elem

$(san_dir)/objects/%.bpf.o: tests/unit/objects/%.bpf.c
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) $(object_flags) -MMD -MP -c $< -o $@

$(san_dir)/objects/bad_%.bpf.o: tests/unit/objects/bad.bpf.c
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPFFLAGS) -D$* -MMD -MP -c $< -o $@

$(san_dir)/objects/no_btf%.bpf.o: object_flags := -g0

$(san_dir)/render_schema: tests/golden/render_schema.c $(san_stages) $(BUILD)/embedded.o
	$(say) TEST $@
	$(Q)$(CC) $(san_flags) -fsanitize=$(SAN) -MMD -MP $< $(san_stages) $(BUILD)/embedded.o -o $@ \
		$(LDLIBS) -lm

$(BUILD)/tsan/snapshot_test: tests/unit/snapshot_test.c exporter/snapshot.c exporter/render.c \
		exporter/render_text.c exporter/log.c
	$(say) TSAN $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(san_flags) -fsanitize=thread $^ -o $@ -lcmocka -lpthread

$(BUILD)/zlib/gzip_test: tests/unit/gzip_test.c exporter/gzip.c exporter/render.c exporter/log.c
	$(say) TEST $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(filter-out $(FEATURES),$(san_flags)) -fsanitize=$(SAN) $^ -o $@ -lcmocka -lz

-include $(wildcard $(san_dir)/*.d $(san_dir)/objects/*.d)
