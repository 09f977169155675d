package storagetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/openams/ams"
)

// noun is what the suite knows of the rows of one table.
type noun[Row, Filter any] struct {
	name    string
	table   func(ams.Tx) ams.Table[Row, Filter]
	key     func(*Row) *string
	rev     func(*Row) *int64
	label   func(*Row) *string // what must be unique; nil if nothing must
	second  func(*Row) *string // likewise, where it is not empty
	filters []filterCase[Row, Filter]
}

// filterCase is a filter and what it means.
type filterCase[Row, Filter any] struct {
	name   string
	filter Filter
	match  func(*Row) bool
}

// row returns a row in which all fields are set at random, with the nth id and,
// if it must be unique, the nth name.
func (n noun[Row, Filter]) row(random *rand.Rand, i int) Row {
	var r Row
	fill(random, reflect.ValueOf(&r).Elem())
	*n.key(&r) = rowID(i)
	*n.rev(&r) = 0
	if n.label != nil {
		*n.label(&r) = fmt.Sprintf("name-%d", i)
	}
	if n.second != nil {
		*n.second(&r) = fmt.Sprintf("second-%d", i)
	}
	return r
}

// rowID returns the nth id. Ids are not all of one length, so that their order
// is that of text and not of numbers.
func rowID(i int) string { return fmt.Sprintf("id-%d", i) }

// stored returns the row as it comes out of a store at a revision.
func (n noun[Row, Filter]) stored(r Row, rev int64) Row {
	r = throughJSON(r)
	*n.rev(&r) = rev
	return r
}

// throughJSON returns what JSON leaves of a value, which is what a store keeps.
func throughJSON[T any](v T) T {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the suite made the value
	}
	var out T
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

// words are the values of text that is filled in at random: some often, so that
// filters match, and some that a store could trip over.
func words() []string {
	return []string{"", "a", "a", "a", "a", "b", "b", "b", "b", "%", "_", "it's", `"`, "ä<&>", "a,b", "[]", "running", "ready", "active", "online", "success"}
}

// fill sets v, and all in it, at random. Times are in UTC and whole milliseconds.
func fill(random *rand.Rand, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000 + random.Int64N(1000)).UTC()))
		return
	case ams.Size:
		v.SetInt(random.Int64N(4) << 30)
		return
	}
	switch v.Kind() {
	case reflect.String:
		all := words()
		v.SetString(all[random.IntN(len(all))])
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(random.Int64N(5) - 1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(random.Uint64N(5))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(random.IntN(8)) / 4)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(random, f)
			}
		}
	case reflect.Pointer:
		if random.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(random, v.Elem())
		}
	case reflect.Slice:
		if n := random.IntN(4); n > 0 { // 1 makes an empty one
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				fill(random, v.Index(i))
			}
		}
	case reflect.Map:
		if n := random.IntN(4); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(random, key)
				fill(random, value)
				v.SetMapIndex(key, value)
			}
		}
	default:
		panic(fmt.Sprintf("no random value for a %s", v.Type()))
	}
}

// spoil changes everything that v shares with others: the elements of its slices
// and maps, and what its pointers point to.
func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				spoil(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			spoil(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Map:
		v.Clear()
	case reflect.Pointer:
		if !v.IsNil() {
			spoil(v.Elem())
			v.Elem().SetZero()
		}
	}
}
