package muc

// Affiliation is a bare address's lasting standing in a room (XEP-0045 §5.2), lowest first.
type Affiliation uint8

// The affiliations of XEP-0045 §5.2.
const (
	Outcast Affiliation = iota
	None
	Member
	Admin
	Owner
)

var affiliations = [...]string{"outcast", "none", "member", "admin", "owner"}

// String returns the affiliation's name on the wire.
func (a Affiliation) String() string { return affiliations[a] }

// affiliationOf reads an affiliation's name.
func affiliationOf(name string) (Affiliation, bool) {
	for i, n := range affiliations {
		if n == name {
			return Affiliation(i), true
		}
	}
	return None, false
}

// Role is what an occupant may do during a visit (XEP-0045 §5.1), lowest first.
type Role uint8

// The roles of XEP-0045 §5.1.
const (
	NoRole Role = iota
	Visitor
	Participant
	Moderator
)

var roles = [...]string{"none", "visitor", "participant", "moderator"}

// String returns the role's name on the wire.
func (r Role) String() string { return roles[r] }

// roleOf reads a role's name.
func roleOf(name string) (Role, bool) {
	for i, n := range roles {
		if n == name {
			return Role(i), true
		}
	}
	return NoRole, false
}
