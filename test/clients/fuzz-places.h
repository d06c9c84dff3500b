/*
 * fuzz-places.h: memory for commands that nobody vouches for. It lies far from everything else in the process, so that
 * an address with a few wrong bits hits nothing that matters.
 */
#ifndef VERBSIM_TEST_FUZZ_PLACES_H
#define VERBSIM_TEST_FUZZ_PLACES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define MIB (1ul << 20)

/* The arena: responses, then requests (the last page of it cannot be read), then the scratch buffer. */
#define ARENA 0x1000000000ul
#define RESPONSES ARENA
#define REQUESTS (ARENA + 1 * MIB)
#define REQUESTS_END (ARENA + 2 * MIB - PAGE)
#define SCRATCH (ARENA + 2 * MIB)
#define ARENA_LENGTH (8 * MIB)

#define READ_ONLY 0x1100000000ul
#define NO_ACCESS (READ_ONLY + 16 * PAGE)
#define NOTHING (READ_ONLY + 32 * PAGE)

static inline void map_at(uint64_t address, size_t length, int protection) {
  void *there = (void *)address;
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(there, length, protection, flags, -1, 0) == there)
    return;
  perror("mmap");
  exit(1);
}

static inline void map_places(void) {
  map_at(ARENA, ARENA_LENGTH, PROT_READ | PROT_WRITE);
  mprotect((void *)REQUESTS_END, PAGE, PROT_NONE);
  map_at(READ_ONLY, 16 * PAGE, PROT_READ);
  map_at(NO_ACCESS, 16 * PAGE, PROT_NONE);
}

/* The places of message.h: @R, @A, @B, @O, @Q, @U. */
static inline bool place_address(char letter, uint64_t *address) {
  switch (letter) {
  case 'R':
    *address = RESPONSES;
    return true;
  case 'A':
    *address = REQUESTS;
    return true;
  case 'B':
    *address = SCRATCH;
    return true;
  case 'O':
    *address = READ_ONLY;
    return true;
  case 'Q':
    *address = NO_ACCESS;
    return true;
  case 'U':
    *address = NOTHING;
    return true;
  default:
    return false;
  }
}

#endif
