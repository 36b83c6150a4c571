package auth

import "container/list"

// lru is a map of bounded size that forgets what was not used for longest. It is not safe for concurrent use.
type lru[K comparable, V any] struct {
	most  int
	order list.List // of pair[K, V], latest first
	at    map[K]*list.Element
}

type pair[K comparable, V any] struct {
	key   K
	value *V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{most: most, at: make(map[K]*list.Element)}
}

// get returns the value kept for the key, or nil.
func (l *lru[K, V]) get(key K) *V {
	e := l.at[key]
	if e == nil {
		return nil
	}
	l.order.MoveToFront(e)
	return e.Value.(pair[K, V]).value
}

// have returns the value kept for the key, or keeps what fresh returns.
func (l *lru[K, V]) have(key K, fresh func() V) *V {
	if v := l.get(key); v != nil {
		return v
	}
	if len(l.at) >= l.most {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.at, oldest.Value.(pair[K, V]).key)
	}
	v := fresh()
	l.at[key] = l.order.PushFront(pair[K, V]{key, &v})
	return &v
}

func (l *lru[K, V]) remove(key K) {
	if e := l.at[key]; e != nil {
		l.order.Remove(e)
		delete(l.at, key)
	}
}
