/* A milter that does nothing: it asks for what one needs that judges headers, and accepts. Argument: its socket. */
#include <libmilter/mfapi.h>
#include <stdio.h>

static sfsistat from(SMFICTX *session, char **words)
{
    (void)session;
    (void)words;
    return SMFIS_CONTINUE;
}

static sfsistat header(SMFICTX *session, char *name, char *value)
{
    (void)session;
    (void)name;
    (void)value;
    return SMFIS_NOREPLY;
}

static sfsistat end_of_header(SMFICTX *session)
{
    (void)session;
    return SMFIS_CONTINUE;
}

static sfsistat end_of_message(SMFICTX *session)
{
    (void)session;
    return SMFIS_ACCEPT;
}

static sfsistat negotiate(SMFICTX *session, unsigned long actions, unsigned long events, unsigned long none_2,
                          unsigned long none_3, unsigned long *want_actions, unsigned long *want_events,
                          unsigned long *want_2, unsigned long *want_3)
{
    (void)session;
    (void)none_2;
    (void)none_3;
    *want_actions = actions & SMFIF_QUARANTINE;
    *want_events = events & (SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NORCPT | SMFIP_NODATA | SMFIP_NOUNKNOWN |
                             SMFIP_NOBODY | SMFIP_NR_HDR | SMFIP_HDR_LEADSPC);
    *want_2 = *want_3 = 0;
    return SMFIS_CONTINUE;
}

int main(int count, char **words)
{
    struct smfiDesc milter = {
        .xxfi_name = "idle",
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = SMFIF_QUARANTINE,
        .xxfi_envfrom = from,
        .xxfi_header = header,
        .xxfi_eoh = end_of_header,
        .xxfi_eom = end_of_message,
        .xxfi_negotiate = negotiate,
    };
    if (count != 2 || smfi_setconn(words[1]) || smfi_register(milter) || smfi_opensocket(1)) {
        fprintf(stderr, "usage: idle_milter SOCKET\n");
        return 2;
    }
    return smfi_main();
}
