"""Gajim, whole, with somebody before it who does one thing after the other: logs in, waits for what a contact writes, answers, makes
a room, reads the archive, sends a file. What is done is asked of the program's own application object, as its windows do. Each step
that holds is printed as a line."""

import json
import os
import sys
import traceback

sys.path.insert(0, "/usr/lib/python3/dist-packages")
HOST, PORT, DOMAIN, PICTURE = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
ACCOUNT, FRIEND, ROOM = "ann", f"bob@{DOMAIN}", f"coven@muc.{DOMAIN}"
sys.argv = ["gajim"]

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


def story():
    """Yields a condition to wait for, one after the other."""
    from gajim.common import app
    from gajim.common.structs import OutgoingMessage
    from nbxmpp.const import ConnectionProtocol, ConnectionType
    from pathlib import Path

    yield lambda: getattr(app, "app", None) is not None and getattr(app, "window", None) is not None and getattr(app, "ged", None) is not None
    app.settings.set("use_keyring", False)
    said = []

    def heard(event):
        said.append((str(event.jid), event.msgtxt))

    for name in ("message-received", "mam-message-received", "gc-message-received"):
        app.ged.register_event_handler(name, 85, heard)
    app.app.create_account(ACCOUNT, ACCOUNT, DOMAIN, ACCOUNT + "-password", None, (f"{HOST}:{PORT}", ConnectionProtocol.TCP, ConnectionType.START_TLS))
    app.app.enable_account(ACCOUNT)
    client = app.get_client(ACCOUNT)
    yield lambda: client.state.is_available
    step("login")

    roster = client.get_module("Roster")
    yield lambda: any(str(c.jid) == FRIEND for c in roster.iter_contacts())
    friend = client.get_module("Contacts").get_contact(FRIEND)
    yield lambda: friend.is_available
    step("roster")

    yield lambda: (FRIEND, "found in the archive") in said
    step("archive")

    def write(contact, text, kind):
        client.send_message(OutgoingMessage(account=ACCOUNT, contact=contact, message=text, type_=kind))

    write(friend, "an answer", "chat")
    yield lambda: (FRIEND, "I read it") in said
    step("chat")

    client.get_module("MUC").create(ROOM, {"muc#roomconfig_membersonly": False})
    room = client.get_module("Contacts").get_contact(ROOM, groupchat=True)
    yield lambda: room.is_joined
    write(friend, "come", "chat")
    yield lambda: "bob" in room.get_user_nicknames()
    write(room, "words in the room", "groupchat")
    yield lambda: any(jid.startswith(ROOM) and text == "an answer in the room" for jid, text in said)
    step("room")

    upload = client.get_module("HTTPUpload")
    yield lambda: upload.available
    upload.send_file(friend, Path(PICTURE))
    yield lambda: (FRIEND, "I have it") in said
    step("upload")
    step("done")
    os._exit(0)


def drive():
    acts = story()
    waiting = [lambda: True]

    def tick():
        try:
            while waiting[0]():
                waiting[0] = next(acts)
        except StopIteration:
            return False
        except Exception:
            traceback.print_exc()
            os._exit(1)
        return True

    GLib.timeout_add(100, tick)


from gajim import gajim

drive()
sys.exit(gajim.main())
