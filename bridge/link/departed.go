package link

import "time"

// departed are the users that have ended, for as long as bridges that come have to know. Whoever calls holds the Client's
// mutex.
type departed struct {
	until  map[string]time.Time
	unsaid []string
	sweep  int // size at which to look for those that can be forgotten
}

func (d *departed) add(user string, now time.Time, remember time.Duration) {
	if user == "" || len(user) > longestID {
		return // nobody's name
	}
	d.unsaid = append(d.unsaid, user)
	if d.until == nil {
		d.until = make(map[string]time.Time)
	}
	if len(d.until) >= d.sweep {
		d.forget(now)
		d.sweep = max(1024, 2*len(d.until)) // so the work for each user stays the same however many there are
	}
	d.until[user] = now.Add(remember)
}

func (d *departed) forget(now time.Time) {
	for user, until := range d.until {
		if !now.Before(until) {
			delete(d.until, user)
		}
	}
}

// again queues everybody, for a bridge that may know of none.
func (d *departed) again(now time.Time) {
	d.forget(now)
	d.unsaid = nil
	for user := range d.until {
		d.unsaid = append(d.unsaid, user)
	}
}

// next takes some of the queue; nil when it is empty.
func (d *departed) next() []string {
	n := min(len(d.unsaid), mostEnded)
	if n == 0 {
		return nil
	}
	users := d.unsaid[:n:n]
	if d.unsaid = d.unsaid[n:]; len(d.unsaid) == 0 {
		d.unsaid = nil
	}
	return users
}
