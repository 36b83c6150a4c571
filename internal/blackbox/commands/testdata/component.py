"""A component of slixmpp: it connects, answers requests, chats, meets somebody in a room, and goes. Each step that holds is
printed as a line."""

import asyncio
import json
import sys
import xml.etree.ElementTree as ET

import slixmpp
from slixmpp.componentxmpp import ComponentXMPP

HOST, PORT, DOMAIN, SECRET, ROOM = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]


def step(name):
    print(json.dumps({"step": name}), flush=True)


class Bot(ComponentXMPP):
    def __init__(self):
        super().__init__(DOMAIN, SECRET, HOST, PORT)
        for plugin in ("xep_0030", "xep_0045", "xep_0199"):
            self.register_plugin(plugin)
        self["xep_0030"].add_identity(category="automation", itype="bot", name="Echo", jid=DOMAIN)
        self.add_event_handler("session_start", lambda _: step("connected"))
        self.add_event_handler("message", self.received)
        self.add_event_handler("disconnected", lambda _: self.over())
        self.finished = asyncio.get_event_loop().create_future()

    def over(self):
        if not self.finished.done():
            self.finished.set_result(True)

    def received(self, m):
        if m["type"] not in ("chat", "normal"):
            return
        if m["body"] == "enter":
            p = self.make_presence(pto=ROOM + "/echo", pfrom="echo@" + DOMAIN + "/bot")
            p.append(ET.Element("{http://jabber.org/protocol/muc}x"))
            p.send()
            step("entered")
        elif m["body"] == "leave":
            step("left")
            self.disconnect()
        else:
            m.reply("you said " + m["body"]).send()
            step("answered")


bot = Bot()
bot.connect()
asyncio.get_event_loop().run_until_complete(asyncio.wait_for(bot.finished, 90))
