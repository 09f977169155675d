package ams

// settingChanged has everything looked at that a setting concerns.
func (c *change) settingChanged(_ SettingKey, _ string) error {
	c.wake = append(c.wake, wakePlace)
	return nil
}
