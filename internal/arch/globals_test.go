package arch

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// constructors make values that do not change afterwards. They may be called to
// fill a package-level variable.
var constructors = map[string]bool{
	"errors.New": true, "regexp.MustCompile": true, "time.Date": true, "fmt.Errorf": true,
	"base32.NewEncoding": true, "WithPadding": true, "Errorf": true, "ams.Errorf": true,
	"strings.NewReplacer": true,
}

// TestNoGlobalState allows package-level variables that are tables, errors,
// embedded files and assertions, as long as nothing assigns to them.
func TestNoGlobalState(t *testing.T) {
	byDir := map[string][]*source{}
	for _, s := range sources(t) {
		if s.library() {
			byDir[s.dir()] = append(byDir[s.dir()], s)
		}
	}
	for _, files := range byDir {
		names := map[string]bool{}
		for _, s := range files {
			for _, d := range s.file.Decls {
				checkGlobals(t, s, d, names)
			}
		}
		for _, s := range files {
			ast.Inspect(s.file, func(n ast.Node) bool {
				for _, target := range assigned(n) {
					if id := rootOf(target); id != nil && names[id.Name] && (id.Obj == nil || isGlobal(s.file, id.Obj)) {
						t.Errorf("%s: assigns to the package-level variable %s", s.at(n), id.Name)
					}
				}
				return true
			})
		}
	}
}

// checkGlobals looks at one declaration and notes its variables.
func checkGlobals(t *testing.T, s *source, d ast.Decl, names map[string]bool) {
	if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
		t.Errorf("%s: init()", s.at(f))
	}
	g, ok := d.(*ast.GenDecl)
	if !ok || g.Tok != token.VAR {
		return
	}
	for _, spec := range g.Specs {
		v := spec.(*ast.ValueSpec)
		embedded := strings.Contains(text(g.Doc), "go:embed") || strings.Contains(text(v.Doc), "go:embed")
		for i, name := range v.Names {
			if name.Name == "_" {
				continue
			}
			names[name.Name] = true
			if embedded {
				continue
			}
			if i >= len(v.Values) || !constant(v.Values[i]) {
				t.Errorf("%s: package-level variable %s is neither a table nor an error", s.at(name), name.Name)
			}
		}
	}
}

func text(doc *ast.CommentGroup) string {
	var b strings.Builder
	if doc != nil {
		for _, c := range doc.List {
			b.WriteString(c.Text)
		}
	}
	return b.String()
}

// constant reports whether an expression makes a value that stays as it is:
// literals, and calls of constructors.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit, *ast.BasicLit:
		return true
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.Ident:
			return constructors[f.Name]
		case *ast.SelectorExpr:
			if x, ok := f.X.(*ast.Ident); ok {
				return constructors[x.Name+"."+f.Sel.Name]
			}
			return constructors[f.Sel.Name] && constant(f.X)
		}
	}
	return false
}

// assigned returns what a statement assigns to.
func assigned(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// rootOf returns x of x, x.f, x[i] and *x.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isGlobal reports whether an object is declared at the top of the file.
func isGlobal(f *ast.File, o *ast.Object) bool { //nolint:staticcheck // names of one file are all it is asked for
	return f.Scope.Lookup(o.Name) == o
}
