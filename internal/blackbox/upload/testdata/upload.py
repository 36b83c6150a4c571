"""Two slixmpp clients: one uploads a file and sends its address, the other fetches it. Each step that holds is printed as a
line; the first that does not ends the script with status 1."""

import asyncio
import io
import json
import sys

import aiohttp
import slixmpp
from slixmpp.plugins.xep_0363 import FileTooBig

HOST, PORT, DOMAIN, CERT = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


class Client(slixmpp.ClientXMPP):
    def __init__(self, name):
        # This version of slixmpp confuses channel bindings on TLS 1.3, so it logs in by PLAIN, inside TLS.
        super().__init__(f"{name}@{DOMAIN}/s", f"{name}-password", sasl_mech="PLAIN")
        self.ca_certs = CERT
        for plugin in ("xep_0030", "xep_0066", "xep_0363"):
            self.register_plugin(plugin)
        self.signed_in = asyncio.get_event_loop().create_future()
        self.links = asyncio.Queue()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", lambda m: self.links.put_nowait(m["oob"]["url"]))
        self.add_event_handler("failed_auth", lambda e: self.signed_in.done() or self.signed_in.set_exception(RuntimeError("login failed")))

    def started(self, _):
        self.send_presence()
        self.signed_in.done() or self.signed_in.set_result(True)


async def main():
    ann, bob = Client("ann"), Client("bob")
    for c in (ann, bob):
        c.connect((HOST, PORT))
    await asyncio.wait_for(asyncio.gather(ann.signed_in, bob.signed_in), 30)
    step("login")

    # The library's own search for the service does not run on this version of Python.
    plugin = ann["xep_0363"]
    for item in (await ann["xep_0030"].get_items(jid=DOMAIN))["disco_items"]["items"]:
        info = (await ann["xep_0030"].get_info(jid=item[0]))["disco_info"]
        if "urn:xmpp:http:upload:0" in info["features"]:
            assert ("store", "file", None, "HTTP File Upload") in info["identities"], info
            plugin.upload_service = slixmpp.JID(item[0])
            plugin.max_file_size = int(info["form"]["values"]["max-file-size"])
    assert plugin.max_file_size == 1_000_000, plugin.max_file_size
    step("discovery")

    content = b"\x89PNG\r\n" + bytes(range(256)) * 400
    url = await ann["xep_0363"].upload_file("a red rose.png", size=len(content), content_type="image/png", input_file=io.BytesIO(content))
    assert url.endswith("/a%20red%20rose.png"), url
    step("uploaded")

    m = ann.make_message(mto=f"bob@{DOMAIN}", mbody=url, mtype="chat")
    m["oob"]["url"] = url
    m.send()
    link = await asyncio.wait_for(bob.links.get(), 30)
    assert link == url, link
    async with aiohttp.ClientSession() as web:
        async with web.get(link) as r:
            assert r.status == 200 and r.headers["Content-Type"] == "image/png" and await r.read() == content, r
    step("fetched")

    try:
        await ann["xep_0363"].upload_file("x.bin", size=2_000_000, input_file=io.BytesIO(b"x"))
        raise RuntimeError("too large a file was taken")
    except FileTooBig:
        step("refused")
    step("done")


asyncio.get_event_loop().run_until_complete(main())
