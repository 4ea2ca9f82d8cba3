# Included by the Makefile: the soak.
.PHONY: soak

soak: check-deps ## churn at 100 times the normal rate: memory and polls stay flat; MINUTES=20
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)bash tests/soak.sh $(MINUTES)
