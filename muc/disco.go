package muc

import (
	"strconv"

	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// nickNode asks for the asker's reserved nickname (XEP-0045 §7.12).
const nickNode = "x-roomuser-item"

// describe answers with what the room is (XEP-0045 §6.4 and jitsi.md §6.2).
func (r *room) describe(in *input, fx *effects) {
	node := in.packet.Elem().First().AttrString("node")
	dst := append([]byte(nil), "<query xmlns='"+NSDiscoInfo+"'"...)
	if node != "" {
		dst = wire.AppendAttr(dst, "node", node)
	}
	dst = append(dst, '>')
	switch node {
	case "":
		dst = r.appendInfo(dst)
	case nickNode:
		if nick := r.standings[in.from.Bare()].nick; nick != "" {
			dst = append(dst, "<identity category='conference' type='text'"...)
			dst = append(wire.AppendAttr(dst, "name", nick), "/>"...)
		}
	default:
		r.refuse(in, fx, errNoNode)
		return
	}
	fx.send(in.from, in.packet.Result(in.to, append(dst, "</query>"...)))
}

func (r *room) appendInfo(dst []byte) []byte {
	c := &r.settings
	dst = append(dst, "<identity category='conference' type='text'"...)
	name := c.Name
	if name == "" {
		name = r.addr.Local()
	}
	dst = append(wire.AppendAttr(dst, "name", name), "/>"...)
	either := func(on bool, yes, no string) string {
		if on {
			return yes
		}
		return no
	}
	for _, feature := range []string{
		NSDiscoInfo, NSDiscoItems, NSMUC, NSStableID, NSSelfPing, NSOccupantID, NSStanzaID, NSRegister, NSPing, NSRequest, NSModerate,
		either(c.Public, "muc_public", "muc_hidden"),
		either(c.Persistent, "muc_persistent", "muc_temporary"),
		either(c.MembersOnly, "muc_membersonly", "muc_open"),
		either(c.Moderated, "muc_moderated", "muc_unmoderated"),
		either(c.nonAnonymous(), "muc_nonanonymous", "muc_semianonymous"),
		either(c.Password != "", "muc_passwordprotected", "muc_unsecured"),
	} {
		dst = appendFeature(dst, feature)
	}
	dst = append(dst, r.limits.Also...)
	if r.archived() {
		dst = appendFeature(appendFeature(appendFeature(dst, NSArchive), NSArchive+"#extended"), NSRetract)
	}
	f := form.New(dst, "result", NSInfo)
	f.Field("muc#roominfo_description", "text-single", "Description", c.Description)
	f.Field("muc#roominfo_subject", "text-single", "Subject", r.subject.text)
	f.Flag("muc#roominfo_subjectmod", "Occupants may change the subject", c.ChangeSubject)
	f.Field("muc#roominfo_occupants", "text-single", "Number of occupants", strconv.Itoa(r.population()))
	f.Field("muc#roominfo_lang", "text-single", "Language", c.Lang)
	f.Field("muc#maxhistoryfetch", "text-single", "Messages that a newcomer is given", strconv.Itoa(c.History))
	f.Field("muc#roominfo_created_timestamp", "text-single", "Milliseconds since 1970 at which it was created", strconv.FormatInt(r.created.UnixMilli(), 10))
	for _, field := range r.info {
		if field.Value != "" {
			f.Field(field.Name, "text-single", "", field.Value)
		}
	}
	return f.End()
}

// population is the number of occupants without the focus.
func (r *room) population() int {
	if r.focus != nil {
		return len(r.occupants) - 1
	}
	return len(r.occupants)
}

func appendFeature(dst []byte, name string) []byte {
	return append(wire.AppendAttr(append(dst, "<feature"...), "var", name), "/>"...)
}

// enumerate answers with who is in the room (XEP-0045 §6.5). Those outside are given an empty list.
func (r *room) enumerate(in *input, fx *effects) {
	if node := in.packet.Elem().First().AttrString("node"); node != "" {
		r.refuse(in, fx, errNoNode)
		return
	}
	dst := append([]byte(nil), "<query xmlns='"+NSDiscoItems+"'>"...)
	if r.byAddr[in.from] != nil {
		for _, o := range r.occupants {
			if o.listed {
				dst = wire.AppendAttr(append(dst, "<item"...), "jid", string(o.addr))
				dst = append(wire.AppendAttr(dst, "name", o.nick), "/>"...)
			}
		}
	}
	fx.send(in.from, in.packet.Result(in.to, append(dst, "</query>"...)))
}
