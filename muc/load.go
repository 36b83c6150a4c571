package muc

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
)

// patience bounds how long a room waits for the store before it refuses what is asked of it.
const patience = 10 * time.Second

// load finds out what the store knows of the room. A room that is there is claimed first, so that what is read is what
// will be written over.
func (c *cell) load() *refusal {
	s := c.service
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := newRoom(c.addr, &s.config.Limits)
	r.notes.on = s.journal != nil
	_, _, err := s.store.Room(ctx, string(c.addr))
	if errors.Is(err, store.ErrNotFound) {
		c.room, c.epoch = r, 0
		return nil
	}
	var row store.Room
	var list []store.Affiliation
	var history []store.Message
	if err == nil {
		c.epoch, err = s.store.Claim(ctx, string(c.addr), s.config.Node)
	}
	if err == nil {
		row, list, err = s.store.Room(ctx, string(c.addr))
	}
	if err == nil {
		history, err = s.store.History(ctx, string(c.addr), s.config.Limits.History)
	}
	if err == nil {
		err = r.load(row, list, history)
	}
	if err != nil {
		s.rec.Hurt("room.load", string(c.addr), "room", string(c.addr), "err", err.Error())
		return &errStore
	}
	c.room = r
	s.adopt(r.addr, r.creator)
	return nil
}

// write hands a change to the store. The first one of a room that was not stored claims it.
func (c *cell) write(w write) {
	s := c.service
	done := func(err error) { c.post(&input{committed: w.seq, err: err}) }
	if c.epoch == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		epoch, err := s.store.Claim(ctx, string(c.addr), s.config.Node)
		cancel()
		if err != nil {
			done(err)
			return
		}
		c.epoch = epoch
	}
	w.change.Epoch = c.epoch
	s.running.add()
	s.store.Write(w.change, func(err error) {
		done(err)
		s.running.done()
	})
}
