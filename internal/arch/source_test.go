package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source is a Go file of this module.
type source struct {
	path  string // from the top, with slashes
	lines int
	test  bool
	file  *ast.File
	fset  *token.FileSet
}

// dir returns the directory of the file from the top, "." for the top itself.
func (s *source) dir() string { return filepath.ToSlash(filepath.Dir(s.path)) }

// at returns where a node is, for messages.
func (s *source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return s.path + ":" + strings.TrimPrefix(p.String(), p.Filename+":")
}

// library reports whether the file is code that a host can import or that such
// code is made of: neither a test, nor a program, nor for tests alone.
func (s *source) library() bool {
	return !s.test && s.file.Name.Name != "main" && !under(s.dir(), testOnly...)
}

// sources parses all Go files, those of other modules in the tree left out.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	fset := token.NewFileSet()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, noModule := os.Stat(filepath.Join(path, "go.mod"))
			switch {
			case rel == ".":
				return nil
			case strings.HasPrefix(d.Name(), "."), d.Name() == "testdata", d.Name() == "build", noModule == nil:
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, &source{
			path: filepath.ToSlash(rel), lines: strings.Count(string(text), "\n"),
			test: strings.HasSuffix(path, "_test.go"), file: f, fset: fset,
		})
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// The sizes of files, in lines.
const (
	splitAt      = 400 // time to think about it
	longestFile  = 500
	longestTest  = 800
	mostMethods  = 8 // of an interface
	widestExempt = "Tx"
)

func TestFileSizes(t *testing.T) {
	for _, s := range sources(t) {
		switch {
		case s.test && s.lines > longestTest, !s.test && s.lines > longestFile:
			t.Errorf("%s has %d lines: split it", s.path, s.lines)
		case !s.test && s.lines > splitAt:
			t.Logf("%s has %d lines: think of splitting it", s.path, s.lines)
		}
	}
}

// TestInterfaceSizes leaves out Tx, which has a method for each noun.
func TestInterfaceSizes(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			i, ok := spec.Type.(*ast.InterfaceType)
			if ok && s.library() && spec.Name.IsExported() && spec.Name.Name != widestExempt && i.Methods.NumFields() > mostMethods {
				t.Errorf("%s: interface %s has %d methods, the most is %d", s.at(spec), spec.Name, i.Methods.NumFields(), mostMethods)
			}
			return true
		})
	}
}

// TestNoClock keeps the clock out of what must be a function of its input: the
// stores and the decisions.
func TestNoClock(t *testing.T) {
	// Blobs are dated by when they were written, as files are.
	exempt := []string{"storage/mem/blob.go"}
	for _, s := range sources(t) {
		pure := under(s.dir(), "storage/sqlite", "storage/mem") || s.path == "next.go" || s.path == "scheduler.go"
		if !pure || s.test || under(s.path, exempt...) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				x, ok := sel.X.(*ast.Ident)
				if ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Until") {
					t.Errorf("%s: time.%s: times come in as values", s.at(n), sel.Sel.Name)
				}
			}
			return true
		})
	}
}
