package sqlite

import (
	"encoding/json"
	"reflect"
	"unsafe"
)

// slim returns the type of struct that a row is converted to before it is
// encoded: the same fields, with tags that leave out those that are zero. They
// need not be stored, because a row is decoded into a zero one, and decoding is
// the larger part of reading a row.
func slim(row reflect.Type) reflect.Type {
	fields := make([]reflect.StructField, row.NumField())
	for i := range fields {
		fields[i] = row.Field(i)
		if fields[i].Tag == "" {
			fields[i].Tag = `json:",omitzero"`
		}
	}
	return reflect.StructOf(fields)
}

// encode returns the row as JSON.
func (s *schema[Row, Filter]) encode(row *Row) (string, error) {
	// The two types differ in their tags alone; reflect's own conversion compares
	// them each time, which costs as much as the encoding.
	data, err := json.Marshal(reflect.NewAt(s.slim, unsafe.Pointer(row)).Interface())
	return string(data), err
}
