-- Debian's miltertest drives the milter at -D socket=unix:PATH: one connection, five messages, each of which has to end
-- as its title says.

mt.set_timeout(60)

local good = {
    {"From", "jane@example.org"}, {"To", "joe@example.com"}, {"Date", "Tue, 25 Nov 2025 10:00:00 +0000"},
    {"Message-ID", "<1@example.org>"}, {"Subject", "hello"},
}

local function must(holds, what)
    if not holds then error(what) end
end

-- miltertest itself says nothing about an error in a script.
local function main()
    local conn = mt.connect(socket)
    must(conn, "mt.connect failed")
    must(mt.negotiate(conn, nil, nil, nil) == nil, "mt.negotiate failed")
    must(mt.test_action(conn, SMFIF_QUARANTINE), "no quarantine was asked for")
    must(mt.test_action(conn, SMFIF_ADDHDRS), "no adding of fields was asked for")
    must(not mt.test_action(conn, SMFIF_CHGBODY), "more was asked for than is needed")

    -- Send one message, with a line of the header changed, or left out for false.
    local function send(title, name, value)
        mt.macro(conn, SMFIC_MAIL, "i", title)
        must(mt.mailfrom(conn, "<jane@example.org>") == nil, title .. ": mt.mailfrom failed")
        must(mt.rcptto(conn, "<joe@example.com>") == nil, title .. ": mt.rcptto failed")
        for _, field in ipairs(good) do
            local given = field[2]
            if field[1] == name then given = value end
            if given then must(mt.header(conn, field[1], " " .. given) == nil, title .. ": mt.header failed") end
        end
        if not mt.test_option(conn, SMFIP_NOEOH) then
            must(mt.eoh(conn) == nil, title .. ": mt.eoh failed")
            if mt.getreply(conn) == SMFIR_REPLYCODE then return end
        end
        must(mt.bodystring(conn, "Hello\r\n") == nil, title .. ": mt.bodystring failed")
        must(mt.eom(conn) == nil, title .. ": mt.eom failed")
    end

    send("accepted", nil, nil)
    must(mt.getreply(conn) == SMFIR_CONTINUE or mt.getreply(conn) == SMFIR_ACCEPT, "accepted: it was not")
    must(not mt.eom_check(conn, MT_HDRINSERT), "accepted: a field was added")

    send("tagged", "Message-ID", false)
    must(mt.eom_check(conn, MT_HDRINSERT, "X-Forebay"), "tagged: it was not")

    send("held", "To", "joe@@example.com")
    must(mt.eom_check(conn, MT_QUARANTINE), "held: it was not")

    send("refused", "To", "\"joe@example.com")
    must(mt.getreply(conn) == SMFIR_REPLYCODE, "refused: it was not")
    mt.abort(conn)

    send("accepted again", nil, nil)
    must(mt.getreply(conn) == SMFIR_CONTINUE or mt.getreply(conn) == SMFIR_ACCEPT, "accepted again: it was not")

    mt.disconnect(conn, true)
    mt.echo("all as it has to be")
end

local fine, why = pcall(main)
if not fine then
    mt.echo(tostring(why))
    error(why)
end
