package im

import (
	"parley/internal/store"
	"parley/xmpp/wire"
)

// aboutSubscription reports presence that manages subscriptions (RFC 6121 §3).
func aboutSubscription(p *wire.Packet) bool {
	if p.Kind != wire.Presence {
		return false
	}
	switch string(p.Type()) {
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		return true
	}
	return false
}

// subscription is the attribute of that name (RFC 6121 §2.1.2.5).
func subscription(c *store.Contact) string {
	switch {
	case c.To && c.From:
		return "both"
	case c.To:
		return "to"
	case c.From:
		return "from"
	}
	return "none"
}

// The states of RFC 6121 appendix A.1 are made of To, From, Asked ("Pending Out") and Request ("Pending In"); Approved is
// §3.4 and stands beside "None", "To" and "Asked".

// sent changes what an account keeps of a contact when the account's user sends it presence of this type (appendix A.2), and
// reports that the stanza goes on to the contact. For subscribed without a request it is an approval in advance.
func sent(c *store.Contact, typ string) (route bool) {
	switch typ {
	case "subscribe": // A.2.1
		if !c.To {
			c.Asked, c.Listed = true, true
		}
		return true
	case "subscribed": // A.2.3
		if c.Request != nil {
			c.From, c.Request, c.Listed = true, nil, true
			return true
		}
		if !c.From { // §3.4.2
			c.Approved, c.Listed = true, true
		}
		return false
	case "unsubscribe": // A.2.2
		c.To, c.Asked = false, false
		return true
	case "unsubscribed": // A.2.4
		route = c.From || c.Request != nil
		c.From, c.Request, c.Approved = false, nil, false
		return route
	}
	return false
}

// received changes what an account keeps of a contact that sends it presence of this type (appendix A.3), and reports that the
// user is told. A request that needs no answer of the user is answered with reply.
func received(c *store.Contact, typ string, request []byte) (deliver bool, reply string) {
	switch typ {
	case "subscribe": // A.3.1, §3.1.3
		switch {
		case c.From:
			return false, "subscribed"
		case c.Approved: // §3.4.2
			c.From, c.Approved = true, false
			return false, "subscribed"
		case c.Request != nil:
			return false, ""
		}
		c.Request = request
		return true, ""
	case "subscribed": // A.3.3
		if !c.Asked || c.To {
			return false, ""
		}
		c.To, c.Asked = true, false
		return true, ""
	case "unsubscribe": // A.3.2
		deliver = c.From || c.Request != nil
		c.From, c.Request = false, nil
		return deliver, ""
	case "unsubscribed": // A.3.4
		deliver = c.To || c.Asked
		c.To, c.Asked = false, false
		return deliver, ""
	}
	return false, ""
}

// idle reports a contact that nothing has to be kept of.
func idle(c *store.Contact) bool {
	return !c.Listed && !c.To && !c.From && !c.Asked && !c.Approved && c.Request == nil
}
