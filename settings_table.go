package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// SettingKey describes a key that can be set.
type SettingKey struct {
	Name     string
	Alias    string   // an old name that Get and Set take too; empty if there is none
	Type     string   // "bool", "int", "duration", "enum", "list", "text", "url", "address", "hostport" or "fingerprint"
	Default  string   // may be empty
	Allowed  []string // of an enum
	Min      int      // of an int; of a duration, in seconds
	Max      int      // likewise
	Effect   string   // what it does, in one sentence
	Secret   bool     // reads as "true" where it is set and as "false" where it is not
	ReadOnly bool     // the program that embeds the Manager gives it its value
	Restart  bool     // takes effect when Run begins

	form string // of a text, or of the entries of a list
}

const month = 30 * 24 * 60 * 60 // in seconds

// settingTable is all there is to know about the keys, in order of name.
var settingTable = []SettingKey{
	{Name: "agent.api.fingerprint", Type: "fingerprint", Effect: "The certificate that the stream agent must show."},
	{Name: "agent.api.token", Type: "text", Secret: true, Effect: "The token AMS shows to the stream agent."},
	{Name: "agent.api.url", Type: "url", Effect: "Where the stream agent is."},
	{Name: "application.addons", Type: "list", form: formAddon, Effect: "Addons of every application, installed before its own; a change rebuilds the applications."},
	{Name: "application.auto_publish", Type: "bool", Default: "true", Effect: "A version is published when its bootstrap is done."},
	{Name: "application.auto_update", Type: "bool", Default: "true", Effect: "An application gets a new version when its image, one of its addons, or what the settings add to it has changed."},
	{Name: "application.default_abi", Type: "enum", Allowed: []string{"x86_64", "x86", "arm64-v8a", "armeabi-v7a", "armeabi"}, Effect: "The ABI that applications are installed for where both the app and the machine have it; empty means the machine's best."},
	{Name: "application.max_published_versions", Type: "int", Default: "3", Min: 1, Max: 1000, Effect: "How many published versions an application keeps; older ones are deleted."},
	{Name: "core.debug_address", Type: "address", Effect: "Where profiles of the running program are served; empty means nowhere."},
	{Name: "core.https_address", Type: "address", ReadOnly: true, Effect: "Where the API is served over HTTPS."},
	{Name: "core.max_requests_per_second", Type: "int", Default: "1000", Min: 1, Max: 1_000_000, Effect: "How many requests the HTTPS API takes in a second; those beyond are refused."},
	{Name: "core.proxy_http", Type: "url", Effect: "The proxy for requests of AMS to http:// URLs."},
	{Name: "core.proxy_https", Type: "url", Effect: "The proxy for requests of AMS to https:// URLs."},
	{Name: "core.proxy_ignore_hosts", Type: "list", form: formHost, Effect: "What is reached without a proxy."},
	{Name: trustPasswordKey, Type: "text", Secret: true, form: formPassword, Effect: "The password with which a client adds its own certificate; only a salted hash of it is stored, and without one no client can."},
	{Name: "cpu.limit_mode", Type: "enum", Default: "scheduler", Allowed: []string{"scheduler", "pinning"}, Effect: "How instances are held to their CPUs: by a share of the time of all, or by CPUs of their own."},
	{Name: "gpu.type", Type: "enum", Default: "none", Allowed: []string{"none", "nvidia", "amd", "intel"}, Effect: "Without effect, and kept for clients that set it: a node says itself what GPUs it has."},
	{Name: "images.allow_insecure", Type: "bool", Default: "false", Effect: "The certificate of the image server is not verified."},
	{Name: "images.auth", Type: "text", Secret: true, form: formCredentials, Effect: "What AMS shows to the image server to be let in."},
	{Name: "images.update_interval", Type: "duration", Default: "5m", Min: 10, Max: month, Effect: "How often the image server is asked for new images."},
	{Name: "images.url", Type: "url", Default: "https://images.anbox-cloud.io/stable/", Effect: "Where the image server is."},
	{Name: "images.version_lockstep", Type: "bool", Default: "true", Effect: "Images made for a later release of AMS than this one are not taken."},
	{Name: "instance.apt_mirror", Alias: "container.apt_mirror", Type: "url", Effect: "The mirror that updates inside instances come from; empty means Ubuntu's own."},
	{Name: "instance.default_platform", Alias: "container.default_platform", Type: "enum", Default: "null", Allowed: []string{"null", "webrtc", "swrast"}, Effect: "The platform of instances that are launched without one."},
	{Name: "instance.features", Alias: "container.features", Type: "list", form: formFeature, Effect: "Feature flags of every instance, beside those of its application."},
	{Name: "instance.network_proxy", Type: "hostport", Effect: "The proxy that instances use."},
	{Name: "instance.security_updates", Alias: "container.security_updates", Type: "bool", Default: "true", Effect: "Ubuntu's security updates are installed during the bootstrap."},
	{Name: "load_balancer.url", Type: "url", Effect: "Where instances reach AMS, if that is not the machine it runs on."},
	{Name: "node.queue_size", Type: "int", Default: "100", Min: 1, Max: 100_000, Effect: "Without effect, and kept for clients that set it: what waits for a node waits in the store, however much it is."},
	{Name: "node.workers_per_queue", Type: "int", Default: "4", Min: 1, Max: 1000, Restart: true, Effect: "How many launches and starts are worked on at a time, per node; and as many builds of applications beside them."},
	{Name: "oidc.allow_insecure", Type: "bool", Default: "false", Effect: "The certificate of the identity provider is not verified."},
	{Name: "oidc.audience", Type: "text", Effect: "The audience that tokens of the identity provider must be made for."},
	{Name: "oidc.client_id", Type: "text", Effect: "How AMS and its clients are known to the identity provider."},
	{Name: "oidc.issuer_url", Type: "url", Effect: "Where the OpenID Connect identity provider is; empty means there is none."},
	{Name: "openfga.api.fingerprint", Type: "fingerprint", Effect: "The certificate that the OpenFGA server must show."},
	{Name: "openfga.api.token", Type: "text", Secret: true, Effect: "The token AMS shows to the OpenFGA server."},
	{Name: "openfga.api.url", Type: "url", Effect: "Where the OpenFGA server is; with openfga.store.id it turns on permissions of single groups and objects."},
	{Name: "openfga.store.id", Type: "text", Effect: "The store on the OpenFGA server that AMS works with."},
	{Name: "registry.filter", Type: "list", form: formTag, Effect: "Only applications with these tags are pulled; empty means all."},
	{Name: "registry.fingerprint", Type: "fingerprint", Effect: "The certificate that the application registry must show."},
	{Name: "registry.mode", Type: "enum", Default: "pull", Allowed: []string{"pull", "push", "manual"}, Effect: "Whether applications are taken from the registry, handed to it, or neither unless somebody asks for it."},
	{Name: "registry.update_interval", Type: "duration", Default: "1h", Min: 60, Max: month, Effect: "How often applications are pulled or pushed."},
	{Name: "registry.url", Type: "url", Effect: "Where the application registry is; empty means there is none."},
	{Name: "scheduler.strategy", Type: "enum", Default: "spread", Allowed: []string{"spread", "binpack"}, Effect: "Which of the nodes that fit is taken: the one with the most free, or the one with the least."},
}

// SettingKeys returns the keys there are, in order of name. The caller owns the
// slice.
func SettingKeys() []SettingKey {
	keys := slices.Clone(settingTable)
	for i := range keys {
		keys[i].Allowed = slices.Clone(keys[i].Allowed)
	}
	return keys
}

// settingKey finds the key that has the name or the alias.
func settingKey(name string) (*SettingKey, bool) {
	i, ok := slices.BinarySearchFunc(settingTable, name, func(k SettingKey, name string) int { return cmp.Compare(k.Name, name) })
	if !ok && name != "" {
		i = slices.IndexFunc(settingTable, func(k SettingKey) bool { return k.Alias == name })
		ok = i >= 0
	}
	if !ok {
		return nil, false
	}
	return &settingTable[i], true
}

// unknownSetting says that there is no such key, and which one may be meant.
func unknownSetting(name string) error {
	spelt := strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	best, least := "", 3
	for _, k := range settingTable {
		for _, known := range []string{k.Name, k.Alias} {
			if distance := editDistance(spelt, known); known != "" && distance < least {
				best, least = known, distance
			}
		}
	}
	if best == "" {
		return notFound("configuration item", name)
	}
	return &Error{Code: ErrNotFound, Kind: "configuration item", ID: name, Err: fmt.Errorf("not found (did you mean %q?)", best)}
}
