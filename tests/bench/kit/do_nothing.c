/* A milter on libmilter that asks for sender and fields as forebay does, and does nothing: what the library itself costs.
 *
 *   cc -O2 -o do_nothing do_nothing.c -lmilter -lpthread && ./do_nothing unix:PATH
 */
#include <libmilter/mfapi.h>
#include <stddef.h>

static sfsistat sender(SMFICTX *context, char **arguments) {
    (void)context, (void)arguments;
    return SMFIS_CONTINUE;
}

static sfsistat field(SMFICTX *context, char *name, char *value) {
    (void)context, (void)name, (void)value;
    return SMFIS_NOREPLY;
}

static sfsistat end(SMFICTX *context) {
    (void)context;
    return SMFIS_CONTINUE;
}

static sfsistat negotiate(SMFICTX *context, unsigned long actions, unsigned long steps, unsigned long third,
                          unsigned long fourth, unsigned long *wanted_actions, unsigned long *wanted_steps,
                          unsigned long *wanted_third, unsigned long *wanted_fourth) {
    (void)context, (void)third, (void)fourth;
    *wanted_actions = actions & SMFIF_QUARANTINE;
    *wanted_steps = steps & (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOUNKNOWN |
                             SMFIP_NOBODY | SMFIP_NR_HDR | SMFIP_HDR_LEADSPC);
    *wanted_third = *wanted_fourth = 0;
    return SMFIS_CONTINUE;
}

int main(int count, char **arguments) {
    struct smfiDesc filter = {"nothing", SMFI_VERSION, SMFIF_QUARANTINE, NULL, NULL, sender, NULL, field,
                              end,       NULL,         end,              NULL, NULL, NULL,   NULL, negotiate};
    if (count != 2 || smfi_setconn(arguments[1]) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS) return 1;
    return smfi_main();
}
