package ams

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// settingChanged has everything looked at that a setting concerns.
func (c *change) settingChanged(k SettingKey, value string) error {
	switch group, _, _ := strings.Cut(k.Name, "."); {
	case k.Name == "application.addons":
		for _, name := range strings.Split(value, ",") {
			if _, err := c.Addons().Get(name); name != "" && err != nil {
				return wrapName(err, "addon", name)
			}
		}
		c.wake = append(c.wake, wakeUpdates)
	case k.Name == "application.auto_update":
		c.wake = append(c.wake, wakeUpdates)
	case k.Name == "application.max_published_versions":
		apps, err := c.Applications().List(ApplicationFilter{}, Page{})
		for i := range apps {
			c.wake = append(c.wake, wakeApplication(apps[i].ID))
		}
		return err
	case group == "images" || strings.HasPrefix(k.Name, "core.proxy_"):
		c.wake = append(c.wake, wakeImageList)
	default:
		c.wake = append(c.wake, wakePlace)
	}
	return nil
}

// proxyFor is the proxy to reach a URL through, empty for none.
func (m *Manager) proxyFor(tx Tx, target string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", nil // whoever uses it says what is wrong
	}
	ignored, err := m.Settings.list(tx, "core.proxy_ignore_hosts")
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(ignored, func(pattern string) bool { return matchHost(pattern, u) }) {
		return "", nil
	}
	if u.Scheme == "https" {
		return m.Settings.text(tx, "core.proxy_https")
	}
	return m.Settings.text(tx, "core.proxy_http")
}

// matchHost reports whether an entry of core.proxy_ignore_hosts is for a URL: "*",
// a host with or without its port, an address, a network, or ".domain" and
// "*.domain" for all hosts of a domain.
func matchHost(pattern string, u *url.URL) bool {
	host := u.Hostname()
	if network, err := netip.ParsePrefix(pattern); err == nil {
		addr, err := netip.ParseAddr(host)
		return err == nil && network.Contains(addr)
	}
	if domain, ok := strings.CutPrefix(strings.TrimPrefix(pattern, "*"), "."); ok {
		return host == domain || strings.HasSuffix(host, "."+domain)
	}
	return pattern == "*" || strings.EqualFold(pattern, host) || strings.EqualFold(pattern, u.Host)
}
