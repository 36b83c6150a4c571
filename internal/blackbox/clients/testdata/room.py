"""A room of slixmpp clients: log in over STARTTLS, chat, join with all, change affiliations. Each step that holds is
printed as a line; the first that does not ends the script with status 1."""

import asyncio
import json
import ssl
import sys

import slixmpp

HOST, PORT, DOMAIN, CERT, ROOM, COUNT = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6])
NS_ADMIN = "http://jabber.org/protocol/muc#admin"


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, name):
        # This version of slixmpp confuses channel bindings on TLS 1.3, so it logs in by PLAIN, inside TLS.
        super().__init__(f"{name}@{DOMAIN}", f"{name}-password", sasl_mech="PLAIN")
        self.name = name
        self.ca_certs = CERT
        for plugin in ("xep_0030", "xep_0045", "xep_0199", "xep_0249"):
            self.register_plugin(plugin)
        self.signed_in = asyncio.get_event_loop().create_future()
        self.chat, self.group, self.occupants, self.subjects = [], [], {}, []
        self.muc = self.plugin["xep_0045"]
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.received)
        self.add_event_handler("groupchat_message", lambda m: self.group.append((m["from"].resource, m["body"])))
        self.add_event_handler("groupchat_subject", lambda m: self.subjects.append(m["subject"]))
        self.add_event_handler("groupchat_presence", self.presence)
        self.add_event_handler("failed_auth", lambda e: self.signed_in.done() or self.signed_in.set_exception(RuntimeError("login failed")))

    def started(self, _):
        self.send_presence()
        if not self.signed_in.done():
            self.signed_in.set_result(True)

    def received(self, m):
        if m["type"] in ("chat", "normal") and m["body"]:
            self.chat.append((m["from"].bare, m["body"]))

    def presence(self, p):
        if p["from"].bare != ROOM:
            return
        codes = {int(s.get("code")) for s in p.xml.iter("{http://jabber.org/protocol/muc#user}status")}
        item = p.xml.find(".//{http://jabber.org/protocol/muc#user}item")
        attributes = dict(item.attrib) if item is not None else {}
        if p["type"] == "unavailable":
            self.occupants.pop(p["from"].resource, None)
            if codes & {301, 307}:
                self.occupants["gone:" + p["from"].resource] = codes
        else:
            self.occupants[p["from"].resource] = attributes

    def present(self):
        return [n for n in self.occupants if not n.startswith("gone:")]


async def until(what, ok):
    for _ in range(1000):
        if ok():
            return
        await asyncio.sleep(0.01)
    print("did not happen: " + what, file=sys.stderr)
    sys.exit(1)


async def main():
    people = [Client(f"u{i}") for i in range(COUNT)]
    for p in people:
        p.connect((HOST, PORT))
    await asyncio.wait_for(asyncio.gather(*(p.signed_in for p in people)), 60)
    for p in people:
        assert isinstance(p.transport.get_extra_info("ssl_object") or p.socket, (ssl.SSLObject, ssl.SSLSocket)), "no TLS"
    step("login", count=len(people), tls=people[0].transport.get_extra_info("ssl_object").version())

    ann, bob = people[0], people[1]
    ann.send_message(mto=bob.boundjid.bare, mbody="héllo <&> 𝄞", mtype="chat")
    await until("chat to the bare address", lambda: (ann.boundjid.bare, "héllo <&> 𝄞") in bob.chat)
    bob.send_message(mto=ann.boundjid.full, mbody="hi", mtype="chat")
    await until("chat to the full address", lambda: (bob.boundjid.bare, "hi") in ann.chat)
    step("chat")

    await ann.plugin["xep_0199"].send_ping(DOMAIN, timeout=10)
    info = await ann.plugin["xep_0030"].get_info(jid=DOMAIN, timeout=10)
    items = await ann.plugin["xep_0030"].get_items(jid=DOMAIN, timeout=10)
    service = [i[0] for i in items["disco_items"]["items"]]
    assert any("muc" in str(s) for s in service), service
    step("discovery", features=len(info["disco_info"]["features"]))

    await ann.muc.join_muc_wait(ROOM, "n0", timeout=10)
    form = await ann.muc.get_room_config(ROOM)
    form["type"] = "submit"
    form.set_values({"muc#roomconfig_roomname": "Twenty", "muc#roomconfig_moderatedroom": False})
    await ann.muc.set_room_config(ROOM, form)
    await asyncio.gather(*(p.muc.join_muc_wait(ROOM, f"n{i}", timeout=20) for i, p in enumerate(people) if i > 0))
    await until("all see all", lambda: all(len(p.present()) == COUNT for p in people))
    step("joined", occupants=len(ann.present()))

    for i, p in enumerate(people):
        p.send_message(mto=ROOM, mbody=f"from {i}", mtype="groupchat")
    await until("all messages at all", lambda: all(len(p.group) == COUNT for p in people))
    assert all(sorted(p.group) == sorted((f"n{i}", f"from {i}") for i in range(COUNT)) for p in people)
    assert all(p.group == people[0].group for p in people), "the order differs"
    step("groupchat", deliveries=COUNT * COUNT)

    ann.muc.set_subject(ROOM, "twenty of us")
    await until("the subject", lambda: all("twenty of us" in p.subjects for p in people))
    step("subject")

    await ann.muc.set_affiliation(ROOM, "member", jid=bob.boundjid.bare)
    await until("member", lambda: all(p.occupants["n1"].get("affiliation") == "member" for p in people))
    await ann.muc.set_affiliation(ROOM, "admin", jid=bob.boundjid.bare)
    await until("admin", lambda: all(p.occupants["n1"].get("affiliation") == "admin" and p.occupants["n1"].get("role") == "moderator" for p in people))
    admins = await ann.muc.get_affiliation_list(ROOM, "admin")
    assert [str(j) for j in admins] == [bob.boundjid.bare], admins
    await bob.muc.set_role(ROOM, "n2", "none")
    await until("kick", lambda: all("gone:n2" in p.occupants and 307 in p.occupants["gone:n2"] for p in people))
    await bob.muc.set_affiliation(ROOM, "outcast", jid=people[3].boundjid.bare)
    await until("ban", lambda: all("gone:n3" in p.occupants and 301 in p.occupants["gone:n3"] for p in people if p is not people[2]))
    try:
        await people[4].muc.set_affiliation(ROOM, "owner", jid=people[4].boundjid.bare)
        print("one without rank made itself owner", file=sys.stderr)
        sys.exit(1)
    except slixmpp.exceptions.IqError as e:
        assert e.condition in ("forbidden", "not-allowed"), e.condition
    try:
        await people[3].muc.join_muc_wait(ROOM, "n3", timeout=10)
        print("a banned one is let in", file=sys.stderr)
        sys.exit(1)
    except slixmpp.exceptions.PresenceError as e:
        assert e.condition == "forbidden", e.condition
    step("affiliations")

    for p in people:
        p.disconnect(wait=1)
    step("done")


asyncio.get_event_loop().run_until_complete(main())
