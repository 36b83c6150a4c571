"""Drives profanity, which wants a terminal: types lines that come on standard input, prints what appears on its screen,
without the terminal's control sequences, for the test to look through."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios

CONTROL = re.compile(rb"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78])|[\x00-\x08\x0b-\x1f]")

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
stdin_open = True
while True:
    ready, _, _ = select.select([fd, 0] if stdin_open else [fd], [], [])
    if fd in ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        sys.stdout.buffer.write(CONTROL.sub(b" ", data) + b"\n")
        sys.stdout.buffer.flush()
    if 0 in ready:
        line = os.read(0, 65536)
        if not line:
            stdin_open = False
            continue
        os.write(fd, line.replace(b"\n", b"\r"))
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
