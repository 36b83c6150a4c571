package store

import (
	"context"
	"time"
)

// Hook is where an application is told by HTTP of what happens.
type Hook struct {
	ID      string // unique, and random
	App     string
	URL     string
	Events  []string // types of what it is told
	Secret  []byte   // signs what is delivered
	Created time.Time

	Waiting int // deliveries that wait; not written
}

// Delivery is one message for a hook. It is kept until the hook has taken it.
type Delivery struct {
	Seq     int64 // given by the store, in the order of adding
	Hook    string
	ID      string // the same for all hooks that are told of an event
	Body    []byte
	Created time.Time
	Tries   int // that failed
}

// Hooks keeps hooks and what is to be delivered to them. Both go with the application.
type Hooks interface {
	// AddHook adds a hook: ErrNotFound if there is no such application, ErrExists if there is such a hook, ErrQuota if the
	// application has most already.
	AddHook(ctx context.Context, h Hook, most int) error
	// RemoveHook removes a hook with what waits for it, or returns ErrNotFound.
	RemoveHook(ctx context.Context, app, id string) error
	// ListHooks returns the hooks of an application, the oldest first; of all if app is empty.
	ListHooks(ctx context.Context, app string) ([]Hook, error)

	// AddDeliveries adds deliveries, all that fit: of each hook at most most wait. What is for a hook that is not there is left out.
	// It reports how many did not fit.
	AddDeliveries(ctx context.Context, list []Delivery, most int) (dropped int, err error)
	// DueHooks returns the hooks for which something is due.
	DueHooks(ctx context.Context, now time.Time) ([]string, error)
	// TakeDeliveries hands up to limit deliveries of a hook that are due to a node, those added first before the others. Nobody is
	// handed them again until then.
	TakeDeliveries(ctx context.Context, hook, node string, now, until time.Time, limit int) ([]Delivery, error)
	// EndDelivery removes a delivery. That it is not there is no error.
	EndDelivery(ctx context.Context, seq int64) error
	// PutOff has a delivery due at a time; failed says that a try has failed.
	PutOff(ctx context.Context, seq int64, at time.Time, failed bool) error
	// FreeDeliveries has everything due now that a node was handed before it was started anew.
	FreeDeliveries(ctx context.Context, node string, now time.Time) error
}
