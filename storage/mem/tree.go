package mem

import (
	"hash/maphash"
	"iter"
)

// tree is an ordered map that is never changed: set and remove return another
// tree, which shares nearly all of its nodes with the old one. So a transaction
// begins by copying a pointer, and whoever reads an old state keeps it.
//
// It is a treap: ordered by key, and a heap by a hash of the key. The zero tree
// is empty.
type tree[V any] struct{ root *node[V] }

type node[V any] struct {
	key         string
	value       V
	weight      uint64
	size        int // nodes in this and below
	left, right *node[V]
}

func (n *node[V]) len() int {
	if n == nil {
		return 0
	}
	return n.size
}

// with returns a copy of the node with other children.
func (n *node[V]) with(left, right *node[V]) *node[V] {
	c := *n
	c.left, c.right, c.size = left, right, 1+left.len()+right.len()
	return &c
}

func (t tree[V]) get(key string) (value V, ok bool) {
	for n := t.root; n != nil; {
		switch {
		case key < n.key:
			n = n.left
		case key > n.key:
			n = n.right
		default:
			return n.value, true
		}
	}
	return value, false
}

// set returns the tree with the value under the key.
func (t tree[V]) set(seed maphash.Seed, key string, value V) tree[V] {
	left, right := t.root.split(key)
	n := &node[V]{key: key, value: value, weight: maphash.String(seed, key), size: 1}
	return tree[V]{join(join(left, n), right)}
}

// remove returns the tree without the key.
func (t tree[V]) remove(key string) tree[V] {
	left, right := t.root.split(key)
	return tree[V]{join(left, right)}
}

// split returns the nodes below the key and those above it.
func (n *node[V]) split(key string) (left, right *node[V]) {
	switch {
	case n == nil:
		return nil, nil
	case key < n.key:
		left, right = n.left.split(key)
		return left, n.with(right, n.right)
	case key > n.key:
		left, right = n.right.split(key)
		return n.with(n.left, left), right
	}
	return n.left, n.right
}

// join returns the nodes of both; all keys of left are below those of right.
func join[V any](left, right *node[V]) *node[V] {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	case left.weight >= right.weight:
		return left.with(left.left, join(left.right, right))
	}
	return right.with(join(left, right.left), right.right)
}

// from returns the entries with a key of at least the given one, in order.
func (t tree[V]) from(key string) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { t.root.each(key, yield) }
}

func (n *node[V]) each(key string, yield func(string, V) bool) bool {
	if n == nil {
		return true
	}
	if n.key < key {
		return n.right.each(key, yield)
	}
	return n.left.each(key, yield) && yield(n.key, n.value) && n.right.each(key, yield)
}
