package alert

import (
	"fmt"
	"maps"
	"time"
)

// within is in what time reports on an ICE server are counted (roomserver protocol, §4.10).
const within = 5 * time.Minute

// serversMost bounds of how many servers reports are counted.
const serversMost = 2000

// window is the times of the last reports on a server, at most one more than may be.
type window []time.Time

// Reported counts that a client says an ICE server has not connected it. It returns at once.
func (s *Service) Reported(server string) {
	if s == nil || s.cfg.IceReports == 0 {
		return
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.reports[server]
	if w == nil {
		if len(s.reports) >= serversMost {
			s.o.Recorder.Count(lost)
			return
		}
		w = new(window)
		s.reports[server] = w
	}
	if len(*w) > s.cfg.IceReports {
		*w = (*w)[1:]
	}
	*w = append(*w, now)
	if s.many(*w, now) {
		s.set(connects, server, true, fmt.Sprintf("more than %d reports of clients within %v", s.cfg.IceReports, within), now)
	}
}

// many reports that there are more reports than may be.
func (s *Service) many(w window, now time.Time) bool {
	return len(w) > s.cfg.IceReports && now.Sub(w[0]) < within
}

// calm forgets servers of which there are no longer so many reports. Called with mu held.
func (s *Service) calm(now time.Time) {
	maps.DeleteFunc(s.reports, func(server string, w *window) bool {
		if !s.many(*w, now) {
			s.set(connects, server, false, "", now)
		}
		return now.Sub((*w)[len(*w)-1]) >= within
	})
}
