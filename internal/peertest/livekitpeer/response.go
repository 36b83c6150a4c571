package livekitpeer

import (
	"encoding/json"
	"fmt"
)

// What the server says: numbers of fields of a SignalResponse, which has one of them.
const (
	hearJoin      = 1
	hearAnswer    = 2
	hearOffer     = 3
	hearTrickle   = 4
	hearUpdate    = 5
	hearPublished = 6 // the answer to a sayTrack
	hearLeave     = 8
)

// Transports of a trickled candidate.
const (
	publisher  = 0 // that the member offers
	subscriber = 1 // that the server offers
)

// message is what the server says, as far as members heed it.
type message struct {
	kind        int         // one of those above, or any other
	description description // hearAnswer, hearOffer
	candidate   string      // hearTrickle, as in SDP; "": there are no more
	transport   uint64      // hearTrickle
	videos      []string    // hearJoin, hearUpdate: ids of tracks, some of which may be known
}

// parse reads a SignalResponse.
func parse(b []byte) (m message, err error) {
	err = walk(b, func(f field) (err error) {
		m = message{kind: f.number} // the last one holds
		switch f.number {
		case hearJoin:
			m.videos, err = videos(f.bytes, 3)
		case hearUpdate:
			m.videos, err = videos(f.bytes, 1)
		case hearAnswer, hearOffer:
			m.description, err = parseDescription(f.bytes)
		case hearTrickle:
			m.candidate, m.transport, err = parseTrickle(f.bytes)
		}
		return err
	})
	return m, err
}

func parseDescription(b []byte) (d description, err error) {
	err = walk(b, func(f field) error {
		switch f.number {
		case 2:
			d.sdp = string(f.bytes)
		case 3:
			d.id = f.value
		}
		return nil
	})
	return d, err
}

// parseTrickle reads a candidate, which is the JSON that browsers make of one.
func parseTrickle(b []byte) (candidate string, transport uint64, err error) {
	err = walk(b, func(f field) error {
		switch f.number {
		case 1:
			var init struct {
				Candidate string `json:"candidate"`
			}
			if err := json.Unmarshal(f.bytes, &init); err != nil {
				return fmt.Errorf("livekitpeer: candidate: %w", err)
			}
			candidate = init.Candidate
		case 2:
			transport = f.value
		}
		return nil
	})
	return candidate, transport, err
}

// videos are the ids of the tracks of video in a message that has participants in a field.
func videos(b []byte, participants int) (ids []string, err error) {
	err = walk(b, func(f field) error {
		if f.number != participants {
			return nil
		}
		return walk(f.bytes, func(f field) error {
			const tracks = 4
			if f.number != tracks {
				return nil
			}
			var id string
			var kind uint64
			err := walk(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					id = string(f.bytes)
				case 2:
					kind = f.value
				}
				return nil
			})
			if kind == kindVideo {
				ids = append(ids, id)
			}
			return err
		})
	})
	return ids, err
}
