package archive

import (
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names checks the names of an archive's members one after the other.
type names struct {
	limits Limits
	listed int   // members so far
	bytes  int64 // of the keys of seen
	seen   map[string]member
}

// member is a file or directory at a case-folded path.
type member struct {
	name string
	dir  bool
}

func newNames(limits Limits) *names {
	return &names{limits: limits, seen: map[string]member{}}
}

// add returns the clean name of the next member, or "" for the root itself. A
// directory may be listed more than once; a file may not, nor may two names
// differ only by case, nor may one path be both.
func (n *names) add(raw string, dir bool) (string, error) {
	n.listed++
	if n.listed > n.limits.Entries {
		return "", n.tooMany()
	}
	name, err := cleanName(raw, dir)
	if name == "" || err != nil {
		return "", err
	}
	if err := n.put(raw, name, dir, false); err != nil {
		return "", err
	}
	for parent := name; strings.Contains(parent, "/"); {
		parent = parent[:strings.LastIndexByte(parent, '/')]
		known := len(n.seen)
		if err := n.put(raw, parent, true, true); err != nil {
			return "", err
		}
		if len(n.seen) == known {
			break // and so the parents above are known
		}
	}
	return name, nil
}

// put records that name exists; implied says that it is only part of raw.
func (n *names) put(raw, name string, dir, implied bool) error {
	key := fold(name)
	old, exists := n.seen[key]
	switch {
	case !exists:
		n.seen[key] = member{name, dir}
		n.bytes += int64(len(key))
		if len(n.seen) > n.limits.Entries || n.bytes > maxNames {
			return n.tooMany()
		}
		return nil
	case old.name != name:
		return refused(raw, "differs only by case from %s", show(old.name))
	case old.dir != dir && implied:
		return refused(raw, "%s is a file", show(name))
	case old.dir != dir:
		return refused(raw, "is both a file and a directory")
	case !dir:
		return refused(raw, "is in the package twice")
	}
	return nil
}

func (n *names) tooMany() error {
	return tooLarge("", "has too many members or too long names (maximum %d members)", n.limits.Entries)
}

// cleanName returns the name without leading "./", doubled and trailing slashes,
// and "" for the root. A name that leads out of the package is refused.
func cleanName(raw string, dir bool) (string, error) {
	switch {
	case raw == "":
		return "", refused(`""`, "has no name")
	case len(raw) > maxName:
		return "", refused(raw, "name is longer than %d bytes", maxName)
	case !utf8.ValidString(raw):
		return "", refused(raw, "name is not UTF-8")
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "", refused(raw, "name contains a control character")
	case strings.Contains(raw, `\`):
		return "", refused(raw, "name contains a backslash")
	case raw[0] == '/' || len(raw) > 1 && raw[1] == ':':
		return "", refused(raw, "name is an absolute path")
	}
	var parts []string
	last := ""
	for last = range strings.SplitSeq(raw, "/") {
		switch {
		case last == "" || last == ".":
		case last == "..":
			return "", refused(raw, "name leaves the package")
		case len(last) > maxComponent:
			return "", refused(raw, "a part of the name is longer than %d bytes", maxComponent)
		default:
			parts = append(parts, last)
		}
	}
	switch {
	case len(parts) > maxDepth:
		return "", refused(raw, "nested deeper than %d directories", maxDepth)
	case !dir && (last == "" || last == "."):
		return "", refused(raw, "is a file with the name of a directory")
	}
	return strings.Join(parts, "/"), nil
}

// fold returns the same text for names that differ only by case.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return unicode.ToLower(least)
	}, s)
}

// permissions returns the bits of a mode that are kept. Directories are always
// 0755, and so is 0644 a file whose archive stores no mode.
func permissions(mode fs.FileMode, dir bool) fs.FileMode {
	switch kept := mode & 0o755; {
	case dir:
		return 0o755
	case kept == 0:
		return 0o644
	default:
		return kept
	}
}

// checkType refuses what is neither a regular file nor a directory.
func checkType(name string, mode fs.FileMode) error {
	switch {
	case mode.Type() == 0, mode.Type() == fs.ModeDir:
		return nil
	case mode&fs.ModeSymlink != 0:
		return refused(name, "is a symbolic link")
	}
	return refused(name, "is neither a file nor a directory")
}
