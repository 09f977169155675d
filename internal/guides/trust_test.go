package guides

import (
	"testing"

	"github.com/openams/ams"
)

func TestTrustGuide(t *testing.T) {
	text := read(t, "guides/trust.md")
	compare(t, "guides/trust.md", splice(t, text, "entitlements", entitlements()))
}

func entitlements() string {
	t := newTable("resource", "entitlement", "allows")
	for _, e := range ams.Entitlements() {
		t.row(code(e.Type), code(e.Name), plain(e.Description))
	}
	return t.String()
}
