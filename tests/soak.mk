# Included by the Makefile: the soaks.
.PHONY: soak soak-pods

soak: check-deps ## churn at 100 times the normal rate: memory and polls stay flat; MINUTES=20
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)bash tests/soak.sh $(MINUTES)

soak-pods: check-deps ## a node of PODS=1000 pods, of which 20 come and go each second, for SECONDS=120
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)bash tests/pods_soak.sh $(or $(PODS),1000) $(or $(SECONDS),120)
