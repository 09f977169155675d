package mem

import (
	"reflect"
	"time"
)

// canonical returns what is left of a value in a store that keeps rows as JSON.
func canonical[T any](p *plan, value *T) (*T, error) {
	stored := new(T)
	return stored, p.copy(reflect.ValueOf(stored).Elem(), reflect.ValueOf(value).Elem())
}

// copyOf returns a copy that shares nothing with the value that could be changed.
func copyOf[T any](value *T) T {
	c := *value
	detach(reflect.ValueOf(&c).Elem())
	return c
}

// detach gives v its own slices, maps and pointers, all the way down. Unexported
// fields, which JSON cannot fill, and times, which nobody can change, stay.
func detach(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				detach(f)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			detach(v.Index(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(c, v)
		v.Set(c)
		if !flat(v.Type().Elem().Kind()) {
			for i := range v.Len() {
				detach(v.Index(i))
			}
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		c := reflect.MakeMapWithSize(v.Type(), v.Len())
		for entries := v.MapRange(); entries.Next(); {
			c.SetMapIndex(entries.Key(), detached(entries.Value()))
		}
		v.Set(c)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Kind() == reflect.Interface {
			v.Set(detached(v.Elem()))
			return
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(v.Elem())
		detach(c.Elem())
		v.Set(c)
	}
}

// detached returns a copy of a value that cannot be set in its place.
func detached(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	detach(c)
	return c
}

// flat reports whether a value of this kind is its own copy.
func flat(k reflect.Kind) bool {
	return k <= reflect.Complex128 || k == reflect.String
}
