package sqlite

import (
	"database/sql/driver"

	"github.com/openams/ams"
)

func imageSchema() *schema[ams.Image, ams.ImageFilter] {
	return (&schema[ams.Image, ams.ImageFilter]{
		kind:    "image",
		table:   "images",
		columns: []string{"name", "vm", "is_default", "status"},
		key:     func(i *ams.Image) string { return i.ID },
		name:    func(i *ams.Image) string { return i.Name },
		rev:     func(i *ams.Image) *int64 { return &i.Rev },
		values: func(i *ams.Image) []driver.Value {
			return []driver.Value{i.Name, integer(i.VM), integer(i.Default), string(i.Status)}
		},
		filter: func(q *query, f *ams.ImageFilter) {
			q.unique("id", f.ID)
			q.text("name", f.Name, "images_name")
			q.flag("vm", f.VM, "", "")
			q.flag("is_default", f.Default, "", "")
			status(q, f.Status, "")
		},
	}).complete()
}
