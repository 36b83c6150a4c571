// Package ring is a queue whose memory is used round and round: what is put in at one end and taken out at the other costs no
// allocation once it is as long as it gets. It is not safe for concurrent use.
package ring

// Ring is a queue. The zero value is empty and holds no memory.
type Ring[T any] struct {
	memory []T // the length is a power of two, or 0
	head   int
	len    int
}

// Len returns how many there are.
func (r *Ring[T]) Len() int { return r.len }

// At returns the i-th from the front, which must be there. It stays where it is until the next Push.
func (r *Ring[T]) At(i int) *T { return &r.memory[(r.head+i)&(len(r.memory)-1)] }

// Push puts one behind the others. A queue without memory begins with least entries, a power of two.
func (r *Ring[T]) Push(v T, least int) {
	if r.len == len(r.memory) {
		r.grow(least)
	}
	r.len++
	*r.At(r.len - 1) = v
}

func (r *Ring[T]) grow(least int) {
	memory := make([]T, max(least, 2*len(r.memory)))
	for i := range r.len {
		memory[i] = *r.At(i)
	}
	r.memory, r.head = memory, 0
}

// Pop forgets the first, which must be there.
func (r *Ring[T]) Pop() {
	var none T
	*r.At(0) = none
	r.head = (r.head + 1) & (len(r.memory) - 1)
	r.len--
}

// Cut forgets all but the first n.
func (r *Ring[T]) Cut(n int) {
	var none T
	for i := n; i < r.len; i++ {
		*r.At(i) = none
	}
	r.len = n
}

// Rest gives up the memory of an empty queue if that is for more than most entries.
func (r *Ring[T]) Rest(most int) {
	if r.len == 0 && len(r.memory) > most {
		r.memory, r.head = nil, 0
	}
}
