package android

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/openams/ams"
)

// plainURL has nothing that awk or a list of sources takes for its own.
var plainURL = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/@%+,=\[\]-]+$`)

// mirrorOf returns the mirror's URL without slashes at its end. The empty string
// is no mirror.
func mirrorOf(mirror string) (string, error) {
	if mirror == "" {
		return "", nil
	}
	u, err := url.Parse(mirror)
	if err != nil || u.Hostname() == "" || !plainURL.MatchString(mirror) {
		return "", ams.Errorf(ams.ErrInvalid, "apt mirror %q is not a plain URL, such as http://ports.ubuntu.com/ubuntu-ports", mirror)
	}
	return strings.TrimRight(mirror, "/"), nil
}
