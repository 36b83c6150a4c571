package pubsub

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"parley/xmpp/wire"
)

// config is the configuration of a node (XEP-0060 §16.4.4), as JSON in the store.
type config struct {
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Type        string   `json:"type,omitempty"` // namespace of the payloads
	Language    string   `json:"language,omitempty"`
	Access      string   `json:"access"` // one of accessModels
	Groups      []string `json:"groups,omitempty"`
	Publish     string   `json:"publish"` // one of publishModels
	Persist     bool     `json:"persist"`
	MaxItems    int      `json:"max_items"` // 0 is as many as the service allows
	SendLast    string   `json:"send_last"` // one of sendLast
	Deliver     bool     `json:"deliver"`   // events at all
	Payloads    bool     `json:"payloads"`  // events with the payload
	OnConfig    bool     `json:"notify_config"`
	OnDelete    bool     `json:"notify_delete"`
	OnRetract   bool     `json:"notify_retract"`
	Message     string   `json:"message"` // one of messageTypes
	Show        string   `json:"show"`    // whose address stands on an item: one of itemReplies
}

// Access models (§4.5) and the other choices.
const (
	accessOpen      = "open"
	accessPresence  = "presence"
	accessRoster    = "roster"
	accessWhitelist = "whitelist"
	accessAuthorize = "authorize"

	lastNever    = "never"
	lastOnSub    = "on_sub"
	lastPresence = "on_sub_and_presence"
)

var (
	accessModels  = []string{accessAuthorize, accessOpen, accessPresence, accessRoster, accessWhitelist}
	publishModels = []string{"publishers", "subscribers", "open"}
	sendLast      = []string{lastNever, lastOnSub, lastPresence}
	messageTypes  = []string{"normal", "headline"}
	itemReplies   = []string{"owner", "publisher", "none"}
)

// Longest texts of a configuration in bytes, and the most groups.
const (
	longestText = 1024
	mostGroups  = 64
)

// defaults are what a node is created with (XEP-0163 §6). Bookmarks are nobody else's business, whatever the client says
// or forgets to say.
func defaults(node string) config {
	c := config{
		Access: accessPresence, Publish: "publishers", Persist: true, MaxItems: 1, SendLast: lastPresence,
		Deliver: true, Payloads: true, OnDelete: true, OnRetract: true, Message: "headline", Show: "none",
	}
	switch node {
	case NSBookmarks, NSStorage:
		c.Access, c.MaxItems, c.SendLast = accessWhitelist, 0, lastNever
	case vcardNode:
		c.Access = accessOpen
	}
	return c
}

// field is one of a node's configuration form.
type field struct {
	name, kind, label string
	options           []string
	get               func(*config) []string
	set               func(c *config, values []string, most int) bool // most is the greatest number of items
}

func text(name, label string, at func(*config) *string) field {
	return field{name: name, kind: "text-single", label: label,
		get: func(c *config) []string { return []string{*at(c)} },
		set: func(c *config, values []string, _ int) bool {
			*at(c) = ""
			if len(values) == 1 {
				*at(c) = values[0]
			}
			return len(values) <= 1 && len(*at(c)) <= longestText
		}}
}

func flag(name, label string, at func(*config) *bool) field {
	return field{name: name, kind: "boolean", label: label,
		get: func(c *config) []string {
			if *at(c) {
				return []string{"1"}
			}
			return []string{"0"}
		},
		set: func(c *config, values []string, _ int) bool {
			if len(values) != 1 {
				return false
			}
			*at(c) = isTrue(values[0])
			return isTrue(values[0]) || values[0] == "0" || values[0] == "false"
		}}
}

func choice(name, label string, options []string, at func(*config) *string) field {
	return field{name: name, kind: "list-single", label: label, options: options,
		get: func(c *config) []string { return []string{*at(c)} },
		set: func(c *config, values []string, _ int) bool {
			if len(values) != 1 || !slices.Contains(options, values[0]) {
				return false
			}
			*at(c) = values[0]
			return true
		}}
}

// isTrue reads a boolean (XEP-0004 §3.3).
func isTrue(s string) bool { return s == "1" || s == "true" }

// maxItems is "max" or a number (§16.4.4, feature config-node-max).
var maxItems = field{name: "pubsub#max_items", kind: "text-single", label: "Greatest number of items, or max",
	get: func(c *config) []string {
		if c.MaxItems == 0 {
			return []string{"max"}
		}
		return []string{strconv.Itoa(c.MaxItems)}
	},
	set: func(c *config, values []string, most int) bool {
		if len(values) != 1 {
			return false
		}
		if values[0] == "max" {
			c.MaxItems = 0
			return true
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < 1 || n > most {
			return false
		}
		if c.MaxItems = n; n == most {
			c.MaxItems = 0
		}
		return true
	}}

var groups = field{name: "pubsub#roster_groups_allowed", kind: "text-multi", label: "Roster groups that may see the node",
	get: func(c *config) []string { return c.Groups },
	set: func(c *config, values []string, _ int) bool {
		c.Groups = nil
		for _, g := range values {
			if len(g) > longestText {
				return false
			}
			if !slices.Contains(c.Groups, g) {
				c.Groups = append(c.Groups, g)
			}
		}
		slices.Sort(c.Groups)
		return len(c.Groups) <= mostGroups
	}}

// leaf is the one type of node that is here.
var leaf = field{name: "pubsub#node_type", kind: "list-single", label: "Type of the node", options: []string{"leaf"},
	get: func(*config) []string { return []string{"leaf"} },
	set: func(_ *config, values []string, _ int) bool { return len(values) == 1 && values[0] == "leaf" }}

var accessModel = choice("pubsub#access_model", "Who may see the node", accessModels, func(c *config) *string { return &c.Access })

// metadata are the fields that whoever sees the node may see (§5.4), fields all of them.
var (
	metadata = []field{
		text("pubsub#title", "Title", func(c *config) *string { return &c.Title }),
		text("pubsub#description", "Description", func(c *config) *string { return &c.Description }),
		text("pubsub#type", "Namespace of the payloads", func(c *config) *string { return &c.Type }),
		text("pubsub#language", "Language", func(c *config) *string { return &c.Language }),
		accessModel,
		choice("pubsub#publish_model", "Who may publish", publishModels, func(c *config) *string { return &c.Publish }),
		maxItems,
	}
	fields = append(slices.Clip(metadata),
		leaf,
		groups,
		flag("pubsub#persist_items", "Items are kept", func(c *config) *bool { return &c.Persist }),
		choice("pubsub#send_last_published_item", "When the last item is sent", sendLast, func(c *config) *string { return &c.SendLast }),
		flag("pubsub#deliver_notifications", "Events are sent", func(c *config) *bool { return &c.Deliver }),
		flag("pubsub#deliver_payloads", "Events contain the payload", func(c *config) *bool { return &c.Payloads }),
		flag("pubsub#notify_config", "Changes of the configuration are told", func(c *config) *bool { return &c.OnConfig }),
		flag("pubsub#notify_delete", "The end of the node is told", func(c *config) *bool { return &c.OnDelete }),
		flag("pubsub#notify_retract", "The removal of items is told", func(c *config) *bool { return &c.OnRetract }),
		choice("pubsub#notification_type", "Type of the messages", messageTypes, func(c *config) *string { return &c.Message }),
		choice("pubsub#itemreply", "Whose address stands on an item", itemReplies, func(c *config) *string { return &c.Show }),
	)
)

func fieldNamed(name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

// apply changes the configuration as a form says. Fields that are not known are left out, as XEP-0004 §3.2 asks for.
func (c *config) apply(form []answer, most int) *wire.Error {
	for _, a := range form {
		f := fieldNamed(a.name)
		if f == nil || f.set(c, a.values, most) {
			continue
		}
		if f.name == accessModel.name {
			return errModel
		}
		e := *errAcceptable
		e.Text = "no such value for " + a.name
		return &e
	}
	return nil
}

// meets checks the preconditions of a publication (§7.1.5), each of which must be known.
func (c *config) meets(form []answer, most int) *wire.Error {
	for _, a := range form {
		f := fieldNamed(a.name)
		if f == nil {
			return unknownOption(a.name)
		}
		wanted := *c
		if !f.set(&wanted, a.values, most) || !reflect.DeepEqual(*c, wanted) {
			e := *errMismatch
			e.Text = "the node has another " + a.name
			return &e
		}
	}
	return nil
}

func unknownOption(name string) *wire.Error {
	e := *errOptions
	e.Text = "unknown option " + name[:min(len(name), 128)]
	return &e
}

func (c *config) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // there is nothing in it that JSON cannot say
	}
	return b
}

func decodeConfig(b []byte) (c config, err error) {
	err = json.Unmarshal(b, &c)
	return c, err
}
