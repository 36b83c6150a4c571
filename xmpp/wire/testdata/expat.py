# Judges XML for the differential tests: reads "length\n" + bytes, answers one line, the tree as expat sees it inside a
# client stream, or "!" and why not.
import sys
import xml.parsers.expat as expat

ROOT = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a' version='1.0'>"


def tree(body):
    p = expat.ParserCreate(namespace_separator="\x01")
    p.ordered_attributes = False
    p.buffer_text = True
    out, state = [], {"depth": 0, "top": 0, "restricted": False}

    def hexed(s):
        return s.encode("utf-8", "surrogatepass").hex()

    def start(name, attrs):
        state["depth"] += 1
        if state["depth"] > 1:
            flat = sorted((hexed(k), hexed(v.replace("\t", " ").replace("\n", " ").replace("\r", " "))) for k, v in attrs.items())
            out.append("(" + hexed(name) + "".join(" " + k + "=" + v for k, v in flat))

    def end(name):
        state["depth"] -= 1
        if state["depth"] == 1:
            state["top"] += 1
        if state["depth"] > 0:
            out.append(")")

    def text(s):
        if state["depth"] > 1:
            out.append("t" + hexed(s))

    def restricted(*_):
        state["restricted"] = True

    p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = start, end, text
    p.CommentHandler = p.ProcessingInstructionHandler = p.StartDoctypeDeclHandler = restricted
    try:
        p.Parse(ROOT + body, False)
    except expat.ExpatError as e:
        return "!" + str(e)
    if state["restricted"]:
        return "!restricted"
    if state["depth"] != 1 or state["top"] != 1:
        return "!not one element"
    merged = []
    for o in out:  # a CDATA section beside text gives two events
        if o[0] == "t" and merged and merged[-1][0] == "t":
            merged[-1] += o[1:]
        else:
            merged.append(o)
    return ";".join(merged)


while True:
    line = sys.stdin.buffer.readline()
    if not line:
        break
    body = sys.stdin.buffer.read(int(line))
    sys.stdout.write(tree(body) + "\n")
    sys.stdout.flush()
