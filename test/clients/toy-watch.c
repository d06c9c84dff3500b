/*
 * toy-watch: says what inotify tells of some paths.
 *
 *   cc -O2 -Wall -Wextra -o toy-watch toy-watch.c
 *   toy-watch PATH...
 *
 * Watches every PATH for creation, deletion, moves and unmounting, prints "ready", and until the end of stdin one line
 * per event: the path's index (from 0), the event, and the name if there is one. Watching a directory looks up nothing
 * in it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static const struct {
  unsigned mask;
  const char *name;
} kinds[] = {{IN_CREATE, "CREATE"},       {IN_DELETE, "DELETE"},         {IN_DELETE_SELF, "DELETE_SELF"},
             {IN_MOVED_FROM, "MOVED_FROM"}, {IN_MOVED_TO, "MOVED_TO"},   {IN_MOVE_SELF, "MOVE_SELF"},
             {IN_UNMOUNT, "UNMOUNT"},     {IN_IGNORED, "IGNORED"}};

int main(int argc, char **argv) {
  _Alignas(8) char buffer[65536];
  int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

  if (argc < 2)
    return 2;
  for (int i = 1; i < argc; i++)
    if (inotify_add_watch(watch, argv[i], IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE | IN_MOVE_SELF) != i) {
      fprintf(stderr, "toy-watch: %s: %s\n", argv[i], strerror(errno));
      return 1;
    }
  puts("ready");
  fflush(stdout);
  struct pollfd ready[] = {{.fd = watch, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  for (bool ended = false; !ended;) {
    poll(ready, 2, -1);
    /* What came before the end is told, too. */
    ended = ready[1].revents != 0;
    ssize_t length = read(watch, buffer, sizeof buffer);
    for (ssize_t at = 0; at < length;) {
      const struct inotify_event *event = (const void *)(buffer + at);
      printf("%d", event->wd - 1);
      for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (event->mask & kinds[i].mask)
          printf(" %s", kinds[i].name);
      printf("%s%s\n", event->len ? " " : "", event->len ? event->name : "");
      fflush(stdout);
      at += sizeof *event + event->len;
    }
  }
  return 0;
}
