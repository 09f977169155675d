package android

import (
	"path"
	"strings"

	"github.com/openams/ams"
)

// shellPattern turns a pattern of path.Match into one that means the same to the
// driver, which matches with a shell's case, one path element at a time. It is
// ErrInvalid if the pattern is malformed or leaves the package.
func shellPattern(pattern string) (string, error) {
	plain := strings.TrimSuffix(pattern, "/")
	if _, err := path.Match(plain, ""); err != nil {
		return "", ams.Errorf(ams.ErrInvalid, "bootstrap.keep: pattern %q is malformed", pattern)
	}
	if plain == "" || path.IsAbs(plain) || path.Clean(plain) != plain || strings.HasPrefix(plain+"/", "../") {
		return "", ams.Errorf(ams.ErrInvalid, "bootstrap.keep: pattern %q is not a plain path inside the package", pattern)
	}
	// Both know * ? [a-z] and \ as an escape. They differ in how a class is
	// negated, and in what else is special inside one.
	var out strings.Builder
	var class, escaped bool
	opened := -1 // where the class began
	for i, c := range plain {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '[' && !class:
			class, opened = true, i
		case c == ']':
			class = false
		case class && c == '^' && opened == i-1:
			c = '!'
		case class && strings.ContainsRune("[!^:.=", c):
			out.WriteByte('\\')
		}
		if c == '/' && (class || strings.HasSuffix(out.String(), `\`)) {
			return "", ams.Errorf(ams.ErrInvalid, "bootstrap.keep: pattern %q has a slash in brackets or behind a backslash", pattern)
		}
		out.WriteRune(c)
	}
	return out.String(), nil
}
