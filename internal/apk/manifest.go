package apk

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// The resource ids of the attributes of interest in the android namespace.
const (
	idName             = 0x01010003
	idEnabled          = 0x0101000e
	idTargetActivity   = 0x01010202
	idMinSDKVersion    = 0x0101020c
	idVersionCode      = 0x0101021b
	idVersionName      = 0x0101021c
	idVersionCodeMajor = 0x01010576
)

const (
	maxPermissions = 1000
	maxPackageName = 255
)

// manifest collects an Info from the elements of a document.
type manifest struct {
	*decoder
	info         Info
	permissions  map[string]bool
	applications int    // <application> elements seen; Android reads the first
	disabled     bool   // the application is not enabled
	unsure       string // the first launcher activity that a resource may disable

	activity *activity // the one that is open at depth 3
	filter   *filter   // the one that is open at depth 4, in activity
}

// activity is an <activity> or <activity-alias>.
type activity struct {
	name     string
	enabled  bool
	unsure   bool // enabled if a resource says so
	launcher bool // one of its filters makes it a launcher's entry
}

// filter is an <intent-filter>.
type filter struct{ main, launcher bool }

// readManifest reads a binary AndroidManifest.xml into an Info without ABIs.
func readManifest(data []byte) (*Info, error) {
	d, err := newDecoder(data)
	if err != nil {
		return nil, err
	}
	m := &manifest{decoder: d, permissions: map[string]bool{}}
	for {
		event, el, err := m.next()
		switch {
		case err != nil:
			return nil, err
		case event == documentEnd:
			return m.result()
		case event == elementStart:
			err = m.start(el)
		default:
			m.end()
		}
		if err != nil {
			return nil, err
		}
	}
}

// start takes the start of an element, which is at m.depth; the root is at 1.
func (m *manifest) start(el element) error {
	var err error
	switch {
	case m.depth == 1:
		return m.root(el)
	case m.depth == 2 && el.name == "application":
		m.applications++
		if m.applications == 1 {
			enabled, unsure := m.enabled(el)
			m.disabled = !enabled && !unsure
		}
	case m.depth == 2 && (el.name == "uses-permission" || el.name == "uses-permission-sdk-23"):
		return m.permission(el)
	case m.depth == 2 && el.name == "uses-sdk":
		if v, ok := m.attribute(el, idMinSDKVersion, "minSdkVersion"); ok {
			n := v.number() // the name of an unfinished Android release has no number
			m.info.MinSDK = int(min(n, 1<<30))
		}
	case m.depth == 3 && (el.name == "activity" || el.name == "activity-alias"):
		m.activity, err = m.newActivity(el)
	case m.depth == 4 && el.name == "intent-filter" && m.activity != nil:
		m.filter = &filter{}
	case m.depth == 5 && m.filter != nil && (el.name == "action" || el.name == "category"):
		var name string
		name, err = m.text(el, idName, "name")
		m.filter.main = m.filter.main || el.name == "action" && name == "android.intent.action.MAIN"
		m.filter.launcher = m.filter.launcher || el.name == "category" && name == "android.intent.category.LAUNCHER"
	}
	return err
}

// end takes the end of an element, which was at m.depth+1.
func (m *manifest) end() {
	switch {
	case m.depth == 3 && m.filter != nil:
		m.activity.launcher = m.activity.launcher || m.filter.main && m.filter.launcher
		m.filter = nil
	case m.depth == 2 && m.activity != nil:
		if m.activity.launcher && m.activity.enabled && m.info.MainActivity == "" {
			m.info.MainActivity = m.activity.name
		}
		if m.activity.launcher && m.activity.unsure && m.unsure == "" {
			m.unsure = m.activity.name
		}
		m.activity = nil
	}
}

// root reads the attributes of <manifest>.
func (m *manifest) root(el element) error {
	if m.info.Package != "" {
		return errors.New("damaged: it has two root elements")
	}
	if el.name != "manifest" {
		return fmt.Errorf("the root element is %q, not \"manifest\"", el.name)
	}
	var err error
	if m.info.Package, err = m.text(el, 0, "package"); err != nil {
		return fmt.Errorf("attribute package: %w", err)
	}
	if m.info.Package == "" {
		return errors.New("it has no package attribute")
	}
	if !validPackage(m.info.Package) {
		return fmt.Errorf("the package name %q is not valid: it must be letters, digits and \"_\" in parts that start with a letter, with dots between them, and at most %d bytes", m.info.Package, maxPackageName)
	}
	if split, err := m.text(el, 0, "split"); err != nil || split != "" {
		return fmt.Errorf("the APK is only the part %q of a split application: build one APK with all of it", split)
	}
	if m.info.VersionName, err = m.text(el, idVersionName, "versionName"); err != nil {
		return fmt.Errorf("attribute versionName: %w", err)
	}
	if v, ok := m.attribute(el, idVersionCode, "versionCode"); ok {
		n := v.number()
		m.info.VersionCode = int64(n)
	}
	if v, ok := m.attribute(el, idVersionCodeMajor, "versionCodeMajor"); ok {
		n := v.number()
		m.info.VersionCode |= int64(n&0x7FFFFFFF) << 32
	}
	return nil
}

// permission reads a <uses-permission>.
func (m *manifest) permission(el element) error {
	name, err := m.text(el, idName, "name")
	if err != nil {
		return fmt.Errorf("uses-permission: %w", err)
	}
	if name == "" || m.permissions[name] {
		return nil
	}
	if len(m.permissions) == maxPermissions {
		return fmt.Errorf("it asks for more than %d permissions", maxPermissions)
	}
	m.permissions[name] = true
	m.info.Permissions = append(m.info.Permissions, name)
	return nil
}

// newActivity reads the attributes of an <activity> or <activity-alias>. It returns
// nil for one that Android would not start.
func (m *manifest) newActivity(el element) (*activity, error) {
	name, err := m.text(el, idName, "name")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", el.name, err)
	}
	if name == "" || m.applications != 1 {
		return nil, nil
	}
	if el.name == "activity-alias" {
		if target, err := m.text(el, idTargetActivity, "targetActivity"); err != nil || target == "" {
			return nil, err
		}
	}
	a := &activity{name: m.className(name)}
	a.enabled, a.unsure = m.enabled(el)
	return a, nil
}

// enabled reads the attribute enabled, which is true if it is absent. It is unsure if
// only a resource can tell.
func (m *manifest) enabled(el element) (enabled, unsure bool) {
	v, ok := m.attribute(el, idEnabled, "enabled")
	if !ok {
		return true, false
	}
	enabled, known := v.boolean()
	return enabled, !known
}

// text returns an attribute's text, or "" if it is absent or a reference.
func (m *manifest) text(el element, id uint32, name string) (string, error) {
	v, ok := m.attribute(el, id, name)
	if !ok {
		return "", nil
	}
	return v.text()
}

// className completes a class name with the package, as Android does.
func (m *manifest) className(name string) string {
	switch strings.IndexByte(name, '.') {
	case 0:
		return m.info.Package + name
	case -1:
		return m.info.Package + "." + name
	}
	return name
}

// result checks and returns what was collected.
func (m *manifest) result() (*Info, error) {
	if m.info.Package == "" {
		return nil, errors.New("it has no elements")
	}
	if m.info.MainActivity == "" {
		m.info.MainActivity = m.unsure
	}
	if m.disabled {
		m.info.MainActivity = ""
	}
	if !validClass(m.info.MainActivity) {
		return nil, fmt.Errorf("the launcher activity's name %q is not a class name", m.info.MainActivity)
	}
	return &m.info, nil
}

// validClass tells whether every character of a name may stand in a class name.
func validClass(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._$-", r) {
			return false
		}
	}
	return true
}

// validPackage tells whether Android would take a package name.
func validPackage(name string) bool {
	if len(name) > maxPackageName {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		for i, r := range part {
			letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
			other := r >= '0' && r <= '9' || r == '_'
			if !letter && !(other && i > 0) {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return strings.Contains(name, ".")
}
