package muc

import (
	"net/netip"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

// adopt notes who created a room. Rooms that are in the store and were not asked for since the start are not counted.
func (s *Service) adopt(room, by wire.Addr) {
	if by == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.makers[room]; !known {
		s.makers[room] = by
		s.made[by]++
	}
}

// birth is how many rooms a source may bring into being by conference requests without a session: by HTTP. There is
// nobody that they could be counted for, and until somebody enters each lives as long as Limits.Unmet.
var birth = limit.Rate{PerSecond: 5, Burst: 50}

// mayMake reports that somebody may create one more room.
func (s *Service) mayMake(by wire.Addr, source netip.Addr) bool {
	if by == "" {
		return source.IsValid() && s.births.Allow(source, time.Now(), 1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.made[by.Bare()] < s.config.Limits.Created
}

// A source that has asked for too many rooms that are not there, or that it may not know of, gets the same answer for
// all of them for a while (hardening.md HM7).
const (
	guessPause = 10 * time.Second
	mostPauses = 10_000
)

// guessed counts a guess.
func (s *Service) guessed(source netip.Addr) {
	now := time.Now()
	if s.guesses.Allow(source, now, 1) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pauses) >= mostPauses {
		for a, until := range s.pauses {
			if now.After(until) {
				delete(s.pauses, a)
			}
		}
	}
	if len(s.pauses) < mostPauses {
		s.pauses[source] = now.Add(guessPause)
	}
}

func (s *Service) blocked(source netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.pauses[source]
	if !ok {
		return false
	}
	if time.Now().After(until) {
		delete(s.pauses, source)
		return false
	}
	return true
}
