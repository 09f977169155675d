package arch

import (
	"bytes"
	"go/ast"
	"go/doc"
	"go/format"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// public reports whether hosts may import the package.
func public(dir string) bool {
	return !slices.Contains(strings.Split(dir, "/"), "internal") && !under(dir, "examples", "cmd", "bench", "scripts")
}

// publicPackages returns the files of each public package, tests left out.
func publicPackages(t *testing.T) map[string][]*source {
	t.Helper()
	all := map[string][]*source{}
	for _, s := range sources(t) {
		if !s.test && s.file.Name.Name != "main" && public(s.dir()) {
			all[s.dir()] = append(all[s.dir()], s)
		}
	}
	return all
}

// TestDocs requires a comment on each exported name. Constants and variables may
// share that of their group, and an interface's method that of the one above it.
func TestDocs(t *testing.T) {
	missing := func(s *source, n ast.Node, name string) { t.Errorf("%s: %s has no comment", s.at(n), name) }
	for dir, files := range publicPackages(t) {
		documented := false
		for _, s := range files {
			documented = documented || s.file.Doc != nil
			for _, d := range s.file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
						missing(s, d, d.Name.Name)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						checkSpec(s, d, spec, missing)
					}
				}
			}
		}
		require.True(t, documented, "package %s has no comment", dir)
	}
}

func checkSpec(s *source, d *ast.GenDecl, spec ast.Spec, missing func(*source, ast.Node, string)) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
			missing(s, spec, spec.Name.Name)
		}
		if i, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.IsExported() && spec.Name.Name != widestExempt {
			above := 0 // the line of the method before
			for _, m := range i.Methods.List {
				line := s.fset.Position(m.Pos()).Line
				if len(m.Names) > 0 && m.Names[0].IsExported() && m.Doc == nil && line != above+1 {
					missing(s, m, spec.Name.Name+"."+m.Names[0].Name)
				}
				above = s.fset.Position(m.End()).Line
			}
		}
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				missing(s, name, name.Name)
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	e := f.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	id, ok := e.(*ast.Ident)
	return ok && id.IsExported()
}

// TestAPI pins what each public package exports: a change of it shows in a diff.
func TestAPI(t *testing.T) {
	for dir, files := range publicPackages(t) {
		t.Run(dir, func(t *testing.T) {
			name := strings.ReplaceAll(dir, "/", "-")
			if dir == "." {
				name = "ams"
			}
			golden(t, path.Join("api", name+".txt"), exports(t, dir, files))
		})
	}
}

// exports prints the exported declarations without their comments.
func exports(t *testing.T, dir string, files []*source) string {
	var parsed []*ast.File
	for _, s := range files {
		parsed = append(parsed, s.file)
	}
	importPath := path.Join(module, dir)
	p, err := doc.NewFromFiles(files[0].fset, parsed, importPath)
	require.NoError(t, err)
	var b bytes.Buffer
	show := func(n any) {
		strip(n)
		require.NoError(t, format.Node(&b, files[0].fset, n))
		b.WriteString("\n\n")
	}
	values := func(list []*doc.Value) {
		for _, v := range list {
			show(v.Decl)
		}
	}
	funcs := func(list []*doc.Func) {
		for _, f := range list {
			show(f.Decl)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs)
	for _, typ := range p.Types {
		show(typ.Decl)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	return "package " + p.Name + " // " + importPath + "\n\n" + strings.TrimRight(b.String(), "\n") + "\n"
}

// strip removes comments and bodies.
func strip(n any) {
	ast.Inspect(n.(ast.Node), func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			n.Doc, n.Body = nil, nil
		case *ast.GenDecl:
			n.Doc = nil
		case *ast.Field:
			n.Doc, n.Comment = nil, nil
		case *ast.ValueSpec:
			n.Doc, n.Comment = nil, nil
		case *ast.TypeSpec:
			n.Doc, n.Comment = nil, nil
		}
		return true
	})
}
