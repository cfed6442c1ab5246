#pragma once

// Marks a function that holds a hot loop: it is compiled for several instruction sets, and the
// loader takes the best one the processor has. Compile such a file with -ffp-contract=off, so that
// every copy computes the same bytes.
//
// Where LENSWRIGHT_HAS_CLONES is defined, a function may also be written by hand for one of those
// sets, beside one of the same name marked LENSWRIGHT_PLAIN: LENSWRIGHT_V4 has AVX-512.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define LENSWRIGHT_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define LENSWRIGHT_HAS_CLONES 1
#define LENSWRIGHT_V4 __attribute__((target("arch=x86-64-v4")))
#define LENSWRIGHT_PLAIN __attribute__((target("default")))
#else
#define LENSWRIGHT_CLONES
#define LENSWRIGHT_PLAIN
#endif
