package ice

import (
	"container/heap"
	"net/netip"

	"parley/internal/stun"
)

// tb is what *testing.T, *testing.B and *rapid.T have in common.
type tb interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

func heapPush(w *world, from, to string, data []byte) {
	w.n++
	heap.Push(&w.wire, flight{w.now.Add(w.min), w.n, UDP, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), data})
}

// request is a check of a peer for the node's agent.
func (n *node) request(peer Credentials, id string, nominate bool) []byte {
	ours, _ := n.agent.Local()
	return check(ours, peer.Ufrag, id, !n.controlling(), nominate)
}

// check is a check for credentials.
func check(c Credentials, peer, id string, controlling, nominate bool) []byte {
	var tid stun.ID
	copy(tid[:], id)
	w := stun.Write(nil, stun.Binding, stun.Request, tid)
	w.String(stun.Username, c.Ufrag+":"+peer)
	w.Uint32(stun.Priority, priority(prflxPreference, UDP, 0))
	if controlling {
		w.Uint64(stun.Controlling, 1)
	} else {
		w.Uint64(stun.Controlled, 1)
	}
	if nominate {
		w.Flag(stun.UseCandidate)
	}
	w.Integrity(stun.NewKey(c.Pwd))
	w.Fingerprint()
	return w.Buffer()
}

// check plays a peer that checks the node on a path, and answers all checks of the node on it.
func (n *node) check(path Path, peer Credentials, nominate bool) {
	n.w.t.Helper()
	var out Out
	n.server.Packet(path, n.request(peer, path.Remote.String(), nominate), n.w.now, &out)
	for len(out.Datagrams) > 0 {
		d := out.Datagrams
		n.take(&Out{Events: out.Events})
		out = Out{}
		for _, d := range d {
			var m stun.Message
			if err := m.Parse(d.Data, stun.ICE); err != nil {
				n.w.t.Fatal(err)
			}
			if d.Path == path && m.Class == stun.Request {
				n.server.Packet(path, answer(&m, peer, path), n.w.now, &out)
			}
		}
	}
	n.take(&Out{Events: out.Events})
}

func answer(m *stun.Message, peer Credentials, path Path) []byte {
	w := stun.Write(nil, stun.Binding, stun.Success, m.ID)
	w.Addr(stun.XORMappedAddress, path.Local)
	w.Integrity(stun.NewKey(peer.Pwd))
	w.Fingerprint()
	return w.Buffer()
}
