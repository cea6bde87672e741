/* Preloaded into a daemon of Postfix: dies of what it reads with "X-Die: " in it, in the way that the word after that
   says, as long as the file REPAIRED does not exist. Defined on the command line: REPAIRED. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *how)
{
    if (strncmp(how, "segv", 4) == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    while (strncmp(how, "memory", 6) == 0) {
        char *taken = malloc(1 << 20);
        if (taken)
            memset(taken, 1, 1 << 20);
        else
            sleep(60); /* as the router of the story did */
    }
    while (strncmp(how, "cpu", 3) == 0)
        ;
}

ssize_t read(int from, void *into, size_t most)
{
    static ssize_t (*real)(int, void *, size_t);
    if (!real)
        real = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t got = real(from, into, most);
    if (got > 0) {
        char *found = memmem(into, (size_t)got, "X-Die: ", 7);
        if (found && found + 14 <= (char *)into + got && access(REPAIRED, F_OK) != 0)
            die(found + 7);
    }
    return got;
}
