"""Two slixmpp clients: one says something, the other finds it in its archive and in a room's. Each step that holds is printed
as a line; the first that does not ends the script with status 1."""

import asyncio
import json
import sys

import slixmpp

HOST, PORT, DOMAIN, CERT, ROOM = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
NS = "urn:xmpp:mam:2"


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, name):
        # This version of slixmpp confuses channel bindings on TLS 1.3, so it logs in by PLAIN, inside TLS.
        super().__init__(f"{name}@{DOMAIN}/s", f"{name}-password", sasl_mech="PLAIN")
        self.ca_certs = CERT
        for plugin in ("xep_0030", "xep_0004", "xep_0045", "xep_0059", "xep_0297", "xep_0313", "xep_0359", "xep_0441"):
            self.register_plugin(plugin)
        self.signed_in = asyncio.get_event_loop().create_future()
        self.seen = []
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", lambda m: self.seen.append(m["body"]))
        self.add_event_handler("failed_auth", lambda e: self.signed_in.done() or self.signed_in.set_exception(RuntimeError("login failed")))

    def started(self, _):
        self.send_presence()
        self.signed_in.done() or self.signed_in.set_result(True)


async def until(what, seconds=10):
    for _ in range(int(seconds / 0.02)):
        if what():
            return
        await asyncio.sleep(0.02)
    raise RuntimeError("it does not happen")


async def bodies(client, **query):
    """The bodies of all pages of an archive, by the iterator that the library has for it."""
    found = []
    query.setdefault("rsm", {"max": 10})
    results = client["xep_0313"].retrieve(iterator=True, **query)
    async for page in results:
        for message in page["mam"]["results"]:
            stanza = message["mam_result"]["forwarded"]["stanza"]
            assert message["mam_result"]["id"] and message["mam_result"]["forwarded"]["delay"]["stamp"]
            if stanza["body"]:
                found.append(stanza["body"])
    return found


async def main():
    ann, bob = Client("ann"), Client("bob")
    for c in (ann, bob):
        c.connect((HOST, PORT))
    await asyncio.wait_for(asyncio.gather(ann.signed_in, bob.signed_in), 20)
    step("login")

    features = (await bob["xep_0030"].get_info(jid=bob.boundjid.bare))["disco_info"]["features"]
    assert NS in features and NS + "#extended" in features, features
    step("discovery")

    want = [f"words {i}" for i in range(25)]
    for body in want:
        ann.send_message(mto=f"bob@{DOMAIN}", mbody=body, mtype="chat")
    await until(lambda: len(bob.seen) == 25)
    assert await bodies(bob) == want
    assert await bodies(bob, with_jid=slixmpp.JID(f"ann@{DOMAIN}")) == want
    assert await bodies(bob, with_jid=slixmpp.JID(f"eve@{DOMAIN}")) == []
    step("archive")

    found = (await bob["xep_0313"].get_archive_metadata())["mam_metadata"]
    assert found["start"]["id"] and found["end"]["timestamp"] >= found["start"]["timestamp"], found
    fields = (await bob["xep_0313"].get_fields()).get_fields()
    assert {"with", "start", "end", "before-id", "after-id", "ids"} <= set(fields), fields
    default, always, never = await bob["xep_0441"].get_preferences()
    assert default == "always" and not always and not never, (default, always, never)
    step("preferences")

    muc = ann["xep_0045"]
    await muc.join_muc_wait(slixmpp.JID(ROOM), "ann", timeout=10) if hasattr(muc, "join_muc_wait") else muc.join_muc(slixmpp.JID(ROOM), "ann")
    await asyncio.sleep(0.2)
    form = ann["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#roomconfig")
    form.add_field(var="muc#roomconfig_persistentroom", value="1")
    form.add_field(var="muc#roomconfig_publicroom", value="1")
    await muc.set_room_config(slixmpp.JID(ROOM), form)
    for body in want:
        ann.send_message(mto=ROOM, mbody=body, mtype="groupchat")
    await until(lambda: ann.seen.count("words 24") >= 1)
    assert await bodies(bob, jid=slixmpp.JID(ROOM)) == want
    step("room")

    for c in (ann, bob):
        await c.disconnect()
    step("done")


asyncio.get_event_loop().run_until_complete(asyncio.wait_for(main(), 90))
