package ams

import "strings"

// resolveAddons finds the addons of an application: those of the setting
// application.addons first, then its own, the newest version of each.
func (c *change) resolveAddons(m *Manager, names []string) ([]AddonUse, error) {
	global, err := globalAddons(c, m)
	if err != nil {
		return nil, err
	}
	return c.addonsOf(union(global, names))
}

// addonsOf finds the newest version of each addon.
func (c *change) addonsOf(names []string) ([]AddonUse, error) {
	var uses []AddonUse
	for _, name := range names {
		addon, err := c.Addons().Get(name)
		if err != nil {
			return nil, wrapName(err, "addon", name)
		}
		uses = append(uses, addon.use(addon.Latest()))
	}
	return uses, nil
}

// globalAddons are the addons of every application.
func globalAddons(tx Tx, m *Manager) ([]string, error) {
	value, err := m.Settings.text(tx, "application.addons")
	if err != nil || value == "" {
		return nil, err
	}
	return strings.Split(value, ","), nil
}
