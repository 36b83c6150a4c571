"""Two slixmpp clients that become contacts: the login that the library chooses by itself, the roster and both subscriptions,
what was written to one that was away, an avatar. Each step that holds is printed as a line; the first that does not ends the
script with status 1."""

import asyncio
import base64
import hashlib
import json
import sys

import slixmpp

HOST, PORT, DOMAIN, CERT = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
HASH = hashlib.sha1(PICTURE).hexdigest()


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, name):
        super().__init__(f"{name}@{DOMAIN}", f"{name}-password")
        self.ca_certs = CERT
        for plugin in ("xep_0030", "xep_0054", "xep_0060", "xep_0084", "xep_0115", "xep_0153", "xep_0163", "xep_0199", "xep_0280", "xep_0313"):
            self.register_plugin(plugin)
        self.auto_authorize, self.auto_subscribe = True, True
        self.chat, self.avatars = [], []
        self.ready = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", lambda m: m["body"] and self.chat.append((m["from"].bare, m["body"])))
        self.add_event_handler("avatar_metadata_publish", lambda m: self.avatars.append((m["from"].bare, m["pubsub_event"]["items"]["item"]["id"])))
        self.add_event_handler("failed_all_auth", lambda e: self.ready.done() or self.ready.set_exception(RuntimeError("login failed")))

    async def started(self, _):
        self.plugin["xep_0163"].add_interest("urn:xmpp:avatar:metadata")
        await self.get_roster()
        self.send_presence()
        self.ready.set_result(True)

    def friends(self, other):
        return self.client_roster[other]["subscription"] == "both" and bool(self.client_roster.presence(other))


async def enter(name):
    c = Client(name)
    c.connect((HOST, PORT))
    await asyncio.wait_for(c.ready, 60)
    return c


async def until(what, ok):
    for _ in range(3000):
        if ok():
            return
        await asyncio.sleep(0.01)
    print("did not happen: " + what, file=sys.stderr)
    sys.exit(1)


async def main():
    ann, bob = await enter("ann"), await enter("bob")
    step("login")

    ann.send_presence_subscription(bob.boundjid.bare)
    await until("contacts of each other", lambda: ann.friends(bob.boundjid.bare) and bob.friends(ann.boundjid.bare))
    step("roster")

    await ann.plugin["xep_0084"].publish_avatar(PICTURE)
    await ann.plugin["xep_0084"].publish_avatar_metadata([{"id": HASH, "type": "image/png", "bytes": str(len(PICTURE)), "width": "1", "height": "1"}])
    await until("the avatar's event", lambda: (ann.boundjid.bare, HASH) in bob.avatars)
    got = await bob.plugin["xep_0084"].retrieve_avatar(ann.boundjid.bare, HASH)
    assert got["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE
    card = await bob.plugin["xep_0054"].get_vcard(ann.boundjid.bare)
    assert card["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE
    step("avatar")

    await bob.disconnect(wait=1)
    await until("bob gone", lambda: not ann.client_roster.presence(bob.boundjid.bare))
    ann.send_message(mto=bob.boundjid.bare, mbody="while you were away", mtype="chat")
    await ann.plugin["xep_0199"].send_ping(DOMAIN, timeout=30)
    bob = await enter("bob")
    await until("what was written meanwhile", lambda: (ann.boundjid.bare, "while you were away") in bob.chat)
    found = [m["mam_result"]["forwarded"]["stanza"]["body"] for m in (await bob.plugin["xep_0313"].retrieve(with_jid=ann.boundjid.bare, timeout=30))["mam"]["results"]]
    assert found == ["while you were away"], found
    assert bob.friends(ann.boundjid.bare) or bob.client_roster[ann.boundjid.bare]["subscription"] == "both"
    step("away")

    for c in (ann, bob):
        c.disconnect(wait=1)
    step("done")


asyncio.get_event_loop().run_until_complete(asyncio.wait_for(main(), 100))
