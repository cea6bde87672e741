/*
 * Loaded into the private Sendmail before the C library, so that nothing of the host has to be changed for it:
 * its log goes to a file (Sendmail knows nothing but syslog), and the host's name has a dot (Sendmail waits a minute for
 * a name that has none). It is compiled with that file as LOG: Sendmail empties its environment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void write_down(const char *format, va_list values)
{
    char line[8192];
    int length = snprintf(line, 32, "[%d]: ", getpid());
    int file = open(LOG, O_WRONLY | O_APPEND | O_CREAT, 0600);

    if (file < 0)
        return;
    length += vsnprintf(line + length, sizeof line - length - 1, format, values); /* %m is printf's here too */
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    if (write(file, line, length) < 0)
        perror("syslog");
    close(file);
}

void openlog(const char *name, int options, int facility) { (void)name, (void)options, (void)facility; }
void closelog(void) {}
void vsyslog(int level, const char *format, va_list values) { (void)level; write_down(format, values); }
void __vsyslog_chk(int level, int flag, const char *format, va_list values)
{
    (void)level, (void)flag;
    write_down(format, values);
}

void syslog(int level, const char *format, ...)
{
    va_list values;

    (void)level;
    va_start(values, format);
    write_down(format, values);
    va_end(values);
}

void __syslog_chk(int level, int flag, const char *format, ...)
{
    va_list values;

    (void)level, (void)flag;
    va_start(values, format);
    write_down(format, values);
    va_end(values);
}

int gethostname(char *name, size_t size)
{
    if (size < sizeof "mx.forebay.test") {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, "mx.forebay.test", sizeof "mx.forebay.test");
    return 0;
}

int __gethostname_chk(char *name, size_t size, size_t room) { return gethostname(name, size < room ? size : room); }
