# The unit tests: each tests/unit/X_test.c is a program, linked with the exporter's stages.
# SAN picks the sanitizers; the snapshot's own test also runs under ThreadSanitizer.
SAN ?= address,undefined
san_dir    := $(BUILD)/san
san_stages := $(patsubst exporter/%.c,$(san_dir)/%.o,$(filter-out exporter/main.c,$(sort $(wildcard exporter/*.c))))
unit_tests := $(patsubst tests/unit/%.c,$(san_dir)/%,$(sort $(wildcard tests/unit/*_test.c)))
san_flags  := -std=gnu11 -O1 -g -fno-omit-frame-pointer -D_GNU_SOURCE -iquote exporter -iquote bpf -iquote $(BUILD) -iquote tests/unit $(WARN)

.PHONY: unit
unit: $(unit_tests) $(BUILD)/tsan/snapshot_test ## build the unit tests (make check runs them)

$(san_dir)/%.o: exporter/%.c | $(BUILD)/revision.h
	$(say) SAN $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(san_flags) -fsanitize=$(SAN) -MMD -MP -c $< -o $@

$(san_dir)/%_test: tests/unit/%_test.c $(san_stages) $(BUILD)/embedded.o
	$(say) TEST $@
	$(Q)$(CC) $(san_flags) -fsanitize=$(SAN) -MMD -MP $< $(san_stages) $(BUILD)/embedded.o -o $@ \
		-lcmocka $(LDLIBS) -lm

$(BUILD)/tsan/snapshot_test: tests/unit/snapshot_test.c exporter/snapshot.c exporter/render.c \
		exporter/render_text.c exporter/log.c
	$(say) TSAN $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(san_flags) -fsanitize=thread $^ -o $@ -lcmocka -lpthread

-include $(wildcard $(san_dir)/*.d)
