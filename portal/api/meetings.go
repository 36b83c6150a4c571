package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/internal/token"
)

// Bounds of meetings.
const (
	mostMeetings  = 200 // of one owner
	mostGuests    = 500 // invited to one meeting
	longestTalk   = 24 * time.Hour
	farthestStart = 366 * 24 * time.Hour
	early         = 15 * time.Minute // before the beginning, from when on invitations open the room
)

// MeetingView is a meeting.
type MeetingView struct {
	ID      string    `json:"id"`
	Room    string    `json:"room" doc:"Name of the room."`
	Title   string    `json:"title"`
	Starts  time.Time `json:"starts"`
	Ends    time.Time `json:"ends"`
	Created time.Time `json:"created"`
}

type guestView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name,omitempty"`
	Moderator bool      `json:"moderator"`
	Created   time.Time `json:"created"`
}

type meetingDetail struct {
	MeetingView
	Invitations []guestView `json:"invitations" nullable:"false"`
}

type invitation struct {
	ID         string `json:"id"`
	Invitation string `json:"invitation" doc:"Opens the room while the meeting is. It is shown this once."`
	Link       string `json:"link,omitempty" doc:"Address of the page that takes the invitation."`
}

type admission struct {
	Token   string    `json:"token" doc:"JSON Web Token that opens the room."`
	Room    string    `json:"room"`
	Title   string    `json:"title"`
	Ends    time.Time `json:"ends" doc:"When the meeting ends."`
	Expires time.Time `json:"expires" doc:"Until when the token has to be used."`
}

type (
	newMeeting struct {
		Body struct {
			Room   string    `json:"room,omitempty" maxLength:"255" doc:"Name of the room. Only applications may say so; without, it is a room of its own that nobody can guess." example:"standup"`
			Title  string    `json:"title" minLength:"1" maxLength:"200"`
			Starts time.Time `json:"starts"`
			Ends   time.Time `json:"ends"`
		}
	}
	// MeetingPath names a meeting.
	MeetingPath struct {
		Meeting string `path:"meeting" pattern:"^[A-Z2-7]{26}$" doc:"Id of the meeting."`
	}
	newGuest struct {
		MeetingPath
		Body struct {
			Name      string `json:"name,omitempty" maxLength:"256" doc:"Name that the others see."`
			Moderator bool   `json:"moderator,omitempty" doc:"They enter as owner of the room."`
			Mail      string `json:"mail,omitempty" maxLength:"254" doc:"Mail address to which the server sends the link." example:"carl@example.org"`
		}
	}
	guestPath struct {
		MeetingPath
		Guest string `path:"guest" pattern:"^[A-Z2-7]{26}$" doc:"Id of the invitation."`
	}
	admissionInput struct {
		Body struct {
			Invitation string `json:"invitation" maxLength:"100"`
		}
	}
	meetingOutput    struct{ Body meetingDetail }
	meetingsOutput   struct{ Body []MeetingView }
	invitationOutput struct{ Body invitation }
	admissionOutput  struct{ Body admission }
)

func (in *MeetingPath) about() string { return in.Meeting }

var (
	tooEarly = problem(http.StatusForbidden, "meeting.early", "the meeting has not begun")
	isOver   = problem(http.StatusForbidden, "meeting.over", "the meeting is over")
)

func (a *API) addMeetings() {
	if a.parts.Signer == nil {
		return // nobody could come
	}
	tags := []string{"meetings"}
	operation(a, app.Meetings, huma.Operation{
		OperationID: "add-meeting", Method: http.MethodPost, Path: "/meetings", Tags: tags, Summary: "Fix a meeting", DefaultStatus: http.StatusCreated, Errors: []int{409},
		Description: "Of an account or of an application, whose alone it is.",
	}, a.addMeeting)
	operation(a, app.Meetings, huma.Operation{
		OperationID: "list-meetings", Method: http.MethodGet, Path: "/meetings", Tags: tags, Summary: "List own meetings",
		Description: "In the order of their ids. Those that ended a week ago are forgotten.",
	}, a.meetings)
	operation(a, app.Meetings, huma.Operation{
		OperationID: "get-meeting", Method: http.MethodGet, Path: "/meetings/{meeting}", Tags: tags, Summary: "Show a meeting and who is invited", Errors: []int{404},
	}, func(ctx context.Context, in *MeetingPath) (*meetingOutput, error) {
		m, err := a.ownMeeting(ctx, in.Meeting)
		if err != nil {
			return nil, err
		}
		guests, err := a.parts.Store.Guests(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		out := &meetingOutput{meetingDetail{viewOfMeeting(m), []guestView{}}}
		for _, g := range guests {
			out.Body.Invitations = append(out.Body.Invitations, guestView{g.ID, g.Name, g.Moderator, g.Created})
		}
		return out, nil
	})
	operation(a, app.Meetings, huma.Operation{
		OperationID: "remove-meeting", Method: http.MethodDelete, Path: "/meetings/{meeting}", Tags: tags, Summary: "Call a meeting off", DefaultStatus: 204, Errors: []int{404},
		Description: "Its invitations open nothing any more.",
	}, func(ctx context.Context, in *MeetingPath) (*struct{}, error) {
		if _, err := a.ownMeeting(ctx, in.Meeting); err != nil {
			return nil, err
		}
		return nil, a.parts.Store.RemoveMeeting(ctx, in.Meeting)
	})
	operation(a, app.Meetings, huma.Operation{
		OperationID: "invite", Method: http.MethodPost, Path: "/meetings/{meeting}/invitations", Tags: tags, Summary: "Invite somebody to a meeting", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 502},
		Description: "Who has the invitation comes in, as often as they want, from a quarter of an hour before the meeting until its end: by the link, or by /invitations/token. With a mail address the answer waits for the mail server: where that does not take the letter nobody is invited.",
	}, a.invite)
	operation(a, app.Meetings, huma.Operation{
		OperationID: "remove-invitation", Method: http.MethodDelete, Path: "/meetings/{meeting}/invitations/{guest}", Tags: tags, Summary: "Take an invitation back", DefaultStatus: 204, Errors: []int{404},
	}, func(ctx context.Context, in *guestPath) (*struct{}, error) {
		if _, err := a.ownMeeting(ctx, in.Meeting); err != nil {
			return nil, err
		}
		return nil, a.parts.Store.RemoveGuest(ctx, in.Meeting, in.Guest)
	})
	operation(a, open, huma.Operation{
		OperationID: "use-invitation", Method: http.MethodPost, Path: "/invitations/token", Tags: tags, Summary: "Get a token for the room of a meeting",
		Errors: []int{403, 404},
	}, a.useInvitation)
}

// ownMeeting returns a meeting of who asks. That of somebody else is not there.
func (a *API) ownMeeting(ctx context.Context, id string) (store.Meeting, error) {
	m, err := a.parts.Store.Meeting(ctx, id)
	if err != nil {
		return m, err
	}
	who := asker(ctx)
	if who.app != nil && m.App == who.app.Name || who.login != nil && m.Account == who.account() {
		return m, nil
	}
	return store.Meeting{}, notFound
}

func (a *API) addMeeting(ctx context.Context, in *newMeeting) (*meetingOutput, error) {
	b, who, now := &in.Body, asker(ctx), time.Now()
	switch {
	case b.Room != "" && who.app == nil:
		return nil, badScope // else whoever fixes a meeting in a room would become its owner
	case b.Room != "" && !tame(b.Room):
		return nil, invalid("the room has a name of letters, digits and -._~+!")
	case !plain(b.Title):
		return nil, invalid("a text holds control characters")
	case !b.Starts.Before(b.Ends), b.Ends.Sub(b.Starts) > longestTalk, b.Ends.Before(now), b.Starts.After(now.Add(farthestStart)):
		return nil, invalid("a meeting ends after it begins, within a day, is not over, and begins within a year")
	}
	m := store.Meeting{ID: opaque.NewID(), Account: who.account(), Room: b.Room, Title: b.Title, Starts: b.Starts.UTC(), Ends: b.Ends.UTC(), Created: now.UTC().Truncate(time.Millisecond)}
	if who.app != nil {
		m.App = who.app.Name
	}
	if m.Room == "" {
		m.Room = strings.ToLower(opaque.NewID())
	}
	if err := a.parts.Store.AddMeeting(ctx, m, mostMeetings); err != nil {
		return nil, err
	}
	return &meetingOutput{meetingDetail{viewOfMeeting(m), []guestView{}}}, nil
}

func (a *API) meetings(ctx context.Context, in *page) (*meetingsOutput, error) {
	who, application := asker(ctx), ""
	if who.app != nil {
		application = who.app.Name
	}
	list, err := a.parts.Store.ListMeetings(ctx, who.account(), application, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &meetingsOutput{[]MeetingView{}}
	for _, m := range list {
		out.Body = append(out.Body, viewOfMeeting(m))
	}
	return out, nil
}

func (a *API) invite(ctx context.Context, in *newGuest) (*invitationOutput, error) {
	if !plain(in.Body.Name) {
		return nil, invalid("a text holds control characters")
	}
	m, err := a.ownMeeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	g := store.Guest{ID: opaque.NewID(), Meeting: m.ID, Name: in.Body.Name, Moderator: in.Body.Moderator, Created: time.Now()}
	text := ""
	text, g.Digest = opaque.New(opaque.Invitation, g.ID)
	link := ""
	if a.parts.Link != nil {
		link = a.parts.Link(m.Room, text)
	}
	if in.Body.Mail != "" {
		if err := a.mayMail(asker(ctx), in.Body.Mail, link); err != nil {
			return nil, err
		}
	}
	if err := a.parts.Store.AddGuest(ctx, g, mostGuests); err != nil {
		return nil, err
	}
	if in.Body.Mail != "" {
		if err := a.mail(ctx, m, g, in.Body.Mail, link); err != nil {
			return nil, err
		}
	}
	return &invitationOutput{invitation{g.ID, text, link}}, nil
}

// useInvitation makes the token of somebody who is invited. It has the life of other tokens, and is not good past the meeting.
func (a *API) useInvitation(ctx context.Context, in *admissionInput) (*admissionOutput, error) {
	kind, id, digest := opaque.Read(in.Body.Invitation)
	if kind != opaque.Invitation {
		return nil, notFound
	}
	g, m, err := a.parts.Store.Guest(ctx, id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case !opaque.Is(digest, g.Digest):
		return nil, notFound
	case now.Before(m.Starts.Add(-early)):
		return nil, tooEarly
	case !now.Before(m.Ends):
		return nil, isOver
	}
	expires := now.Add(a.cfg.TokenLife)
	if m.Ends.Before(expires) {
		expires = m.Ends
	}
	c := token.Claims{
		Issuer: a.parts.Issuer, Audience: a.parts.Audience, ID: opaque.NewID(), Expires: expires, Room: m.Room,
		User: token.User{ID: "invitation-" + strings.ToLower(g.ID), Name: g.Name}, Moderator: g.Moderator,
	}
	raw, err := a.parts.Signer.Sign(c)
	if err != nil {
		return nil, err
	}
	return &admissionOutput{admission{raw, m.Room, m.Title, m.Ends, expires.UTC().Truncate(time.Second)}}, nil
}

func viewOfMeeting(m store.Meeting) MeetingView {
	return MeetingView{ID: m.ID, Room: m.Room, Title: m.Title, Starts: m.Starts, Ends: m.Ends, Created: m.Created}
}
