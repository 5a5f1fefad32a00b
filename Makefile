# For people; the build itself is CMakeLists.txt.
JOBS ?= $(shell nproc)

help:  ## this text
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## install what is missing (Debian packages, by root or sudo)
	@tools/setup.sh

build: setup  ## compile into build/
	@cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >build-configure.log || { cat build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build build -j $(JOBS)

demo: build  ## run the main job on real input
	@tools/demo.sh build/bin/leyden

check: build  ## build and run all tests
	@ctest --test-dir build --output-on-failure -j $(JOBS)

asan:  ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer (clang)
	@tools/check_build.sh build/asan clang -DLEYDEN_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=RelWithDebInfo

valgrind: build  ## the tests under valgrind memcheck
	@tools/check_valgrind.sh build

fuzz:  ## fuzz the readers, SECONDS_EACH=600
	@tools/fuzz.sh

style:  ## measure the shape of the code and check its layers
	@tools/measure_style.sh -w 5 .
	@tools/measure_style.sh -f tsv -d layers.txt . >/dev/null && echo "layers: ok"
	@tools/check_model_refs.sh

clean:  ## remove what was built
	rm -rf build out

.PHONY: help setup build demo check asan valgrind fuzz style clean
.DEFAULT_GOAL := help
