package ams

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxSettingLength bounds the value of a setting, in bytes.
const maxSettingLength = 4096

// The forms of a text, and of the entries of a list.
const (
	formAddon       = "addon"
	formFeature     = "feature"
	formTag         = "tag"
	formHost        = "host"
	formCredentials = "credentials"
	formPassword    = "password" // stored as a hash
)

// Rule says which values the key takes: "true or false". A message about a bad
// value says the same after "must be". The empty value, which stands for the
// default, is always one more.
func (k *SettingKey) Rule() string {
	switch k.Type {
	case "bool":
		return "true or false"
	case "int":
		return fmt.Sprintf("a whole number from %d to %d", k.Min, k.Max)
	case "duration":
		return fmt.Sprintf("a duration from %s to %s, such as %s", seconds(k.Min), seconds(k.Max), k.Default)
	case "enum":
		last := len(k.Allowed) - 1
		return strings.Join(k.Allowed[:last], ", ") + " or " + k.Allowed[last]
	case "url":
		return "a URL such as https://<host>:<port>/<path>, http or https, without user and password"
	case "address":
		return "an address to listen on, <host>:<port> or :<port>"
	case "hostport":
		return "<host>:<port>"
	case "fingerprint":
		return "a SHA-256 fingerprint, 64 hexadecimal digits"
	}
	switch k.form {
	case formAddon:
		return "names of addons, separated by commas"
	case formFeature:
		return "features, separated by commas"
	case formTag:
		return "tags, separated by commas"
	case formHost:
		return "hosts, addresses and networks, separated by commas, such as localhost,10.0.0.0/8,.example.com"
	case formCredentials:
		return "user:password or bearer:token"
	}
	return fmt.Sprintf("one line of at most %d bytes", maxSettingLength)
}

// seconds prints a whole number of seconds in the largest unit that expresses it.
func seconds(n int) string {
	switch {
	case n%3600 == 0:
		return fmt.Sprintf("%dh", n/3600)
	case n%60 == 0:
		return fmt.Sprintf("%dm", n/60)
	}
	return fmt.Sprintf("%ds", n)
}

// accept returns a value as it is stored, the default for an empty one, or what is
// wrong with it. A fault never holds what may be a secret.
func (k *SettingKey) accept(value string) (stored, fault string) {
	ok := textFault(value) == ""
	switch {
	case value == "":
		return k.Default, ""
	case len(value) > maxSettingLength:
		return "", fmt.Sprintf("must be %s; it has %d bytes, the most is %d", k.Rule(), len(value), maxSettingLength)
	case k.Secret && (value == "true" || value == "false"):
		return "", "must not be what a secret reads as, which is true or false"
	}
	switch k.Type {
	case "bool":
		ok = value == "true" || value == "false"
	case "int":
		n, err := strconv.Atoi(value)
		ok = err == nil && n >= k.Min && n <= k.Max
		stored = strconv.Itoa(n)
	case "duration":
		d, err := time.ParseDuration(value)
		ok = err == nil && d >= time.Duration(k.Min)*time.Second && d <= time.Duration(k.Max)*time.Second
	case "enum":
		ok = slices.Contains(k.Allowed, value)
	case "list":
		return k.acceptList(value)
	case "url":
		ok = ok && isURL(value)
	case "address":
		ok = isAddress(value)
	case "hostport":
		ok = isAddress(value) && value[0] != ':'
	case "fingerprint":
		stored = strings.ToLower(value)
		ok = len(stored) == 64 && strings.Trim(stored, "0123456789abcdef") == ""
	}
	if k.form == formCredentials {
		user, password, both := strings.Cut(value, ":")
		ok = ok && both && user != "" && password != ""
	}
	switch {
	case ok:
		return cmp.Or(stored, value), ""
	case k.Secret, strings.Contains(value, "@"): // user:password@host
		return "", "must be " + k.Rule()
	}
	return "", "must be " + k.Rule() + ", got " + quote(value)
}

// acceptList is accept for a list. Its entries keep the rules of the manifest.
func (k *SettingKey) acceptList(value string) (stored, fault string) {
	entries := strings.Split(value, ",")
	for i, e := range entries {
		entries[i] = strings.TrimSpace(e)
	}
	m, f := Manifest{Name: "settings"}, newManifestFaults()
	switch k.form {
	case formAddon:
		m.Addons = entries
	case formFeature:
		m.Features = entries
	case formTag:
		m.Tags = entries
	case formHost:
		f.each("hosts", "host", entries, func(at, s string) {
			if !isHostPattern(s) {
				f.add(at, s, "host %s is not allowed: it is neither a host, nor an address, nor a network", quote(s))
			}
		})
	}
	m.check(f)
	if len(f.list) > 0 {
		return "", f.list[0].Rule
	}
	return strings.Join(entries, ","), ""
}

// isURL reports whether s is the URL of a web server or of something below it.
func isURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return false
	}
	return isHost(u.Hostname()) && (u.Port() == "" || isPort(u.Port())) && !strings.HasSuffix(u.Host, ":")
}

// isAddress reports whether s is a host and a port, or only ':' and a port.
func isAddress(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || !isPort(s[i+1:]) {
		return false
	}
	host := s[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && isIPv6(inner)
	}
	return host == "" || isHost(host) && !isIPv6(host)
}

// isHostPattern reports whether s names hosts as NO_PROXY does in a shell.
func isHostPattern(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil || s == "*" || isIPv6(s) {
		return true
	}
	s = strings.TrimPrefix(s, "*")
	s = strings.TrimPrefix(s, ".")
	return isHost(s) || isAddress(s) && s[0] != ':'
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// isHost reports whether s is an address or the name of a host.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	const longestName, longestLabel = 253, 63
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !isWord(r) && r != '-' }) {
			return false
		}
	}
	return len(s) <= longestName
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n <= maxPort && strconv.Itoa(n) == s
}
