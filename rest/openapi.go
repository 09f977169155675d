package rest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"bytes"
	"io"

	"github.com/openams/ams/api"
)

// object is a JSON object of the document.
type object = map[string]any

// OpenAPI returns the OpenAPI 3.0 document of this interface, as JSON. It is made of
// Routes and of the types of package api.
func OpenAPI(version string) ([]byte, error) {
	s := schemas{}
	paths := object{}
	for _, r := range Routes() {
		path, ok := paths[r.Path].(object)
		if !ok {
			path = object{}
			if params := pathParameters(r.Path); len(params) > 0 {
				path["parameters"] = params
			}
			paths[r.Path] = path
		}
		path[strings.ToLower(r.Method)] = s.operation(&r)
	}
	s.of(reflect.TypeFor[api.Operation]())
	return json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "AMS", "version": version,
			"description": "The REST interface of the application management service. Unless it is a file, an answer is an object of which type is sync, async or error; metadata has the result, or the operation that was begun.",
			"license":     object{"name": "Apache-2.0"},
		},
		"servers":    []any{object{"url": "/"}},
		"paths":      paths,
		"components": object{"schemas": s},
	}, "", "  ")
}

func showOpenAPI(q *request) (response, error) {
	doc, err := OpenAPI(q.h.opts.Version)
	if err != nil {
		return nil, err
	}
	return raw{ReadCloser: io.NopCloser(bytes.NewReader(doc)), contentType: "application/json", size: int64(len(doc))}, nil
}

// pathParameters returns the parameters in a path.
func pathParameters(path string) []any {
	var params []any
	for element := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(element, "{"); ok {
			params = append(params, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"},
			})
		}
	}
	return params
}

// operation describes one endpoint.
func (s schemas) operation(r *Route) object {
	op := object{
		"summary": r.Doc, "operationId": strings.ToLower(r.Method) + "_" + id(r.Path), "tags": []string{tag(r.Path)},
		"responses": s.responses(r),
	}
	if text := accessText(r.Access); text != "" {
		op["description"] = text
	}
	var params []any
	for _, p := range r.Query {
		param := object{"name": p.Name, "in": "query", "schema": object{"type": p.Type}}
		if p.Type == "boolean" { // "1" is taken too
			param["schema"] = object{"type": "string", "enum": []string{"0", "1", "true", "false"}}
		}
		if p.Doc != "" {
			param["description"] = p.Doc
		}
		params = append(params, param)
	}
	if r.Upload != nil {
		params = append(params,
			object{"name": headerFingerprint, "in": "header", "description": "SHA-256 of the body, in hexadecimal", "schema": object{"type": "string"}},
			object{"name": headerRequest, "in": "header", "description": "JSON that says what the body is", "schema": object{"type": "string"}})
	}
	if params != nil {
		op["parameters"] = params
	}
	content := object{}
	if r.Body != nil {
		content["application/json"] = object{"schema": s.of(reflect.TypeOf(r.Body))}
	}
	if r.Upload != nil {
		content["application/octet-stream"] = object{"schema": object{"type": "string", "format": "binary"}}
	}
	if len(content) > 0 {
		op["requestBody"] = object{"content": content}
	}
	return op
}

// responses describes the answers of an endpoint.
func (s schemas) responses(r *Route) object {
	all := object{"default": object{"description": "Why it failed", "content": object{"application/json": object{"schema": s.envelope(api.ReplyError, object{"nullable": true})}}}}
	switch r.Kind {
	case Sync:
		metadata := object{"nullable": true}
		if r.Result != nil {
			metadata = s.of(reflect.TypeOf(r.Result))
		}
		if r.List != nil {
			of := s.of(reflect.TypeOf(r.List))
			if reflect.TypeOf(r.List).Kind() != reflect.Map {
				of = object{"type": "array", "items": of}
			}
			metadata = object{"oneOf": []any{metadata, of}}
		}
		all["200"] = object{"description": "Done", "content": object{"application/json": object{"schema": s.envelope(api.ReplySync, metadata)}}}
	case Async:
		all["202"] = object{
			"description": "Begun; metadata is the operation",
			"headers":     object{"Location": object{"schema": object{"type": "string"}}},
			"content":     object{"application/json": object{"schema": s.envelope(api.ReplyAsync, s.of(reflect.TypeFor[api.Operation]()))}},
		}
	case Raw:
		all["200"] = object{"description": "The file", "content": object{"*/*": object{"schema": object{"type": "string", "format": "binary"}}}}
	case Websocket:
		all["101"] = object{"description": "A websocket"}
	}
	return all
}

// envelope describes a reply with that metadata.
func (s schemas) envelope(kind api.ReplyType, metadata any) object {
	return object{
		"type": "object", "required": []string{"type", "status", "status_code", "metadata"},
		"properties": object{
			"type": object{"type": "string", "enum": []string{string(kind)}}, "status": object{"type": "string"},
			"status_code": object{"type": "integer"}, "total_size": object{"type": "integer"}, "operation": object{"type": "string"},
			"error_code": object{"type": "integer"}, "error": object{"type": "string"}, "metadata": metadata,
		},
	}
}

// schemas are the types of the document, by name.
type schemas map[string]any

// of describes a type, once.
func (s schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		of := s.of(t.Elem())
		if of["$ref"] != nil {
			return object{"nullable": true, "allOf": []any{of}}
		}
		of["nullable"] = true
		return of
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem()), "nullable": true}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem()), "nullable": true}
	case reflect.Struct:
		return s.structure(t)
	default:
		return object{"type": "integer"}
	}
}

func (s schemas) structure(t reflect.Type) object {
	if t.Name() == "" {
		return object{"type": "object"}
	}
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if s[t.Name()] != nil {
		return ref
	}
	properties, required := object{}, []string{}
	s[t.Name()] = properties // it may refer to itself
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" || name == "-" {
			continue
		}
		properties[name] = s.of(f.Type)
		if options != "omitempty" && f.Type.Kind() != reflect.Pointer {
			required = append(required, name)
		}
	}
	of := object{"type": "object", "properties": properties}
	// A request may leave everything out.
	if !isRequest(t.Name()) && len(required) > 0 {
		slices.Sort(required)
		of["required"] = required
	}
	s[t.Name()] = of
	return ref
}

// isRequest reports whether a type is what clients send.
func isRequest(name string) bool {
	for _, end := range []string{"Post", "Patch", "Put", "Delete", "DeleteMany", "Exec", "Source"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// id turns a path into a name.
func id(path string) string {
	return strings.Trim(strings.NewReplacer("/1.0", "", "/", "_", "{", "", "}", "", ".", "_").Replace(path), "_")
}

// tag names the group an endpoint is of.
func tag(path string) string {
	elements := strings.Split(strings.TrimPrefix(path, "/1.0"), "/")
	if len(elements) < 2 || elements[1] == "" {
		return "service"
	}
	return elements[1]
}

// accessText says who may use an endpoint.
func accessText(a Access) string {
	switch {
	case a.Public:
		return "For everybody."
	case a.Secret:
		return "For whoever has the secret."
	case a.Authenticated:
		return "For every client that is trusted; it shows, and takes, what the client may see."
	case a.Type == "server":
		return "Needs " + strconv.Quote(a.Entitlement) + " on the server."
	}
	return "Needs " + strconv.Quote(a.Entitlement) + " on the " + a.Type + "."
}
