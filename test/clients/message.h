/*
 * message.h: raw messages written as text, for clients that send the kernel's ABI structures byte by byte.
 *
 *   MESSAGE      a word made of the elements below, without spaces; `-` alone is the empty message
 *   two hex digits   one byte
 *   _ or -           nothing; for the eye
 *   @X               8 bytes: the address of place X, a capital letter, in host byte order
 *   @X+OFFSET;       the same plus OFFSET (decimal)
 *   @X:INDEX;        the place number INDEX (decimal) of several; also @X:INDEX+OFFSET;
 *
 * The semicolon stands after a number and only there. Example, GET_CONTEXT by write(2) with 24 bytes out:
 *
 *   00000000_0400_0600_@R
 *
 * Which places there are is up to the program.
 */
#ifndef VERBSIM_TEST_MESSAGE_H
#define VERBSIM_TEST_MESSAGE_H

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Gives the address of a place; false if there is no such place. */
typedef bool (*find_place)(void *context, char letter, unsigned long index, uint64_t *address);

static inline int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  digit = tolower((unsigned char)digit);
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads `MARK NUMBER` if MARK stands at *at. False if MARK stands there without a number. */
static inline bool parse_number(char **at, char mark, unsigned long *number) {
  if (**at != mark)
    return true;
  if (!isdigit((unsigned char)(*at)[1]))
    return false;
  *number = strtoul(*at + 1, at, 10);
  return true;
}

/* Reads the place reference after '@' and moves *text behind it. */
static inline bool parse_place(const char **text, find_place find, void *context, uint64_t *address) {
  char *at = (char *)*text + 1;
  unsigned long index = 0, offset = 0;

  if (!isupper((unsigned char)**text) || !parse_number(&at, ':', &index) || !parse_number(&at, '+', &offset))
    return false;
  if (at > *text + 1 && *at++ != ';')
    return false;
  if (!find(context, **text, index, address))
    return false;
  *address += offset;
  *text = at;
  return true;
}

/*
 * Gives the bytes of a message, to be freed by the caller, and their number in *length; NULL if the text is malformed
 * or names a place that is not there.
 */
static inline uint8_t *parse_message(const char *text, find_place find, void *context, size_t *length) {
  /* "@X" is the element that grows most: two characters into eight bytes. */
  uint8_t *bytes = malloc(strlen(text) * 4 + 8);
  size_t at = 0;
  bool good = bytes != NULL;

  while (good && *text != '\0') {
    if (*text == '_' || *text == '-') {
      text++;
    } else if (*text == '@') {
      uint64_t address = 0;
      text++;
      good = parse_place(&text, find, context, &address);
      memcpy(bytes + at, &address, sizeof address);
      at += sizeof address;
    } else {
      int high = hex_digit(text[0]);
      int low = high < 0 ? -1 : hex_digit(text[1]);
      good = low >= 0;
      bytes[at++] = high << 4 | low;
      text += 2;
    }
  }
  if (!good) {
    free(bytes);
    return NULL;
  }
  *length = at;
  return bytes;
}

#endif
