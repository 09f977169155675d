package mem

import (
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openams/ams"
)

// plan is how values of one type are copied so that the copy is what a store that keeps
// rows as JSON would give back, without making JSON of them.
type plan struct {
	kind   reflect.Kind
	self   bool // JSON is made of each value after all
	time   bool
	size   bool
	fields []fieldPlan
	elem   *plan // of a slice, an array, a pointer or a map
	key    *plan // of a map
}

// fieldPlan is one exported field of a struct.
type fieldPlan struct {
	index     int
	omitEmpty bool
	omitZero  bool
	plan      *plan
}

// planOf makes the plan of a type. Types may not contain themselves.
func planOf(t reflect.Type) *plan {
	p := &plan{kind: t.Kind()}
	switch {
	case t == reflect.TypeFor[time.Time]():
		p.time = true
		return p
	case t == reflect.TypeFor[ams.Size]():
		p.size = true
		return p
	case isMarshaler(t) || isMarshaler(reflect.PointerTo(t)):
		p.self = true
		return p
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" && options == "" {
				continue
			}
			p.fields = append(p.fields, fieldPlan{
				index: i, omitEmpty: strings.Contains(options, "omitempty"), omitZero: strings.Contains(options, "omitzero"), plan: planOf(f.Type),
			})
		}
	case reflect.Slice, reflect.Array, reflect.Pointer:
		p.elem = planOf(t.Elem())
	case reflect.Map:
		p.key, p.elem = planOf(t.Key()), planOf(t.Elem())
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		p.self = true
	default:
	}
	return p
}

func isMarshaler(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

var errNumber = errors.New("a number that is none")

// copy sets to, which is zero, to what is left of from.
func (p *plan) copy(to, from reflect.Value) error {
	switch {
	case p.self || p.size && from.Int() < 0:
		data, err := json.Marshal(from.Interface())
		if err != nil {
			return err
		}
		return json.Unmarshal(data, to.Addr().Interface())
	case p.time:
		return copyTime(to, from)
	}
	switch p.kind {
	case reflect.String:
		s := from.String()
		if !utf8.ValidString(s) {
			s = string([]rune(s)) // each byte that is wrong becomes U+FFFD
		}
		to.SetString(s)
	case reflect.Float32, reflect.Float64:
		if f := from.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return errNumber
		}
		to.Set(from)
	case reflect.Struct:
		for i := range p.fields {
			f := &p.fields[i]
			v := from.Field(f.index)
			if f.omitEmpty && isEmpty(v) || f.omitZero && v.IsZero() {
				continue
			}
			if err := f.plan.copy(to.Field(f.index), v); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		return p.copyList(to, from)
	case reflect.Pointer:
		if from.IsNil() {
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return p.elem.copy(to.Elem(), from.Elem())
	case reflect.Map:
		return p.copyMap(to, from)
	default:
		to.Set(from)
	}
	return nil
}

func (p *plan) copyList(to, from reflect.Value) error {
	if p.kind == reflect.Slice {
		if from.IsNil() {
			return nil
		}
		to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
		if from.Len() == 0 {
			return nil
		}
	}
	if flat(p.elem.kind) && p.elem.kind != reflect.String && !p.elem.size && !p.elem.self {
		reflect.Copy(to, from)
		return nil
	}
	for i := range from.Len() {
		if err := p.elem.copy(to.Index(i), from.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) copyMap(to, from reflect.Value) error {
	if from.IsNil() {
		return nil
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), from.Len()))
	for entries := from.MapRange(); entries.Next(); {
		key, value := reflect.New(to.Type().Key()).Elem(), reflect.New(to.Type().Elem()).Elem()
		if err := errors.Join(p.key.copy(key, entries.Key()), p.elem.copy(value, entries.Value())); err != nil {
			return err
		}
		to.SetMapIndex(key, value)
	}
	return nil
}

// copyTime copies an instant: JSON knows neither the clock it was read from nor the name
// of its zone.
func copyTime(to, from reflect.Value) error {
	t, _ := from.Interface().(time.Time)
	if t.Location() == time.UTC && t.Year() >= 0 && t.Year() <= 9999 {
		to.Set(reflect.ValueOf(t.Round(0).UTC()))
		return nil
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to.Addr().Interface())
}

// isEmpty reports whether omitempty leaves a value out.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
